package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var named = regexp.MustCompile("`((?:cmd|docs|drill|internal|lab|libexec|packaging|pkg|scripts|test|tools)/[A-Za-z0-9_./-]+)`")

// paths are the files and folders of this repository that a page names.
func paths(page string) []string {
	var found []string
	for _, m := range named.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		if !strings.Contains(m[1], "TOOL") {
			found = append(found, strings.TrimSuffix(m[1], "/"))
		}
	}
	return found
}

// Every file that a page for contributors names exists.
func TestNamedFiles(t *testing.T) {
	atRoot(t)
	for page, least := range map[string]int{"docs/architecture.md": 40, "CONTRIBUTING.md": 20, "docs/dependencies.md": 0, "docs/benchmarks.md": 1} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		all := paths(string(text))
		if len(all) < least {
			t.Errorf("%s: only %d files are found", page, len(all))
		}
		for _, path := range all {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s names %s, which does not exist", page, path)
			}
		}
	}
}

// The look at pages can fail.
func TestUnknownFiles(t *testing.T) {
	got := paths("`pkg/none.go` and `pkg/state/`, `cmd/TOOL`, `-tags man`\n```\n`pkg/other.go`\n```\n")
	if strings.Join(got, " ") != "pkg/none.go pkg/state" {
		t.Errorf("%q", got)
	}
}
