// Package docs_test checks the documents of the whole tree and the help texts of
// the programs: links, named commands and flags, dependencies, widths.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// atRoot moves the test to the root of the tree, which all its paths start from.
func atRoot(t *testing.T) {
	t.Helper()
	t.Chdir("../..")
}

// pages returns the text of each document of the tree by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	atRoot(t)
	all := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || slices.Contains([]string{"bin", "dist"}, path)):
			return filepath.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d pages are found", len(all))
	}
	return all
}

var (
	fenced = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	title  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
)

// anchors are the places of a page that a link can name, as GitHub makes them of
// titles.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range title.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(m[1]))
		found[name] = true
	}
	return found
}

// Every link between documents leads somewhere.
func TestLinks(t *testing.T) {
	all := pages(t)
	for path, text := range all {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			to, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if to != "" {
				target = filepath.Join(filepath.Dir(path), to)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", path, m[1])
				continue
			}
			if page, isPage := all[target]; anchor != "" && (!isPage || !anchors(page)[anchor]) {
				t.Errorf("%s: %s has no title #%s", path, target, anchor)
			}
		}
	}
}

// Every document can be found from the README.
func TestDocumentsAreLinked(t *testing.T) {
	all := pages(t)
	reached := map[string]bool{}
	next := []string{"README.md"}
	for len(next) > 0 {
		path := next[0]
		next = next[1:]
		if reached[path] {
			continue
		}
		reached[path] = true
		for _, m := range link.FindAllStringSubmatch(all[path], -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if target := filepath.Join(filepath.Dir(path), to); to != "" && all[target] != "" {
				next = append(next, target)
			} else if folder := filepath.Join(target, "README.md"); to != "" && all[folder] != "" {
				next = append(next, folder)
			}
		}
	}
	for path := range all {
		if strings.HasPrefix(path, "docs/") && !reached[path] {
			t.Errorf("no link leads to %s", path)
		}
	}
}

var (
	directly = regexp.MustCompile(`(?m)^(?:\t|require )(\S+) v\S+$`)
	atAll    = regexp.MustCompile(`(?m)^(?:\t|require )(\S+) v\S+(?: // indirect)?$`)
)

// modules are those that a go.mod names in such lines.
func modules(t *testing.T, path string, lines *regexp.Regexp) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range lines.FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	if len(names) == 0 {
		t.Fatalf("%s names no module", path)
	}
	return names
}

// Each direct dependency has a reason in docs/dependencies.md, and each reason a
// dependency.
func TestDependencies(t *testing.T) {
	atRoot(t)
	text, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) > 2 && !strings.Contains(cells[1], "---") && strings.TrimSpace(cells[1]) != "module" {
			for name := range strings.SplitSeq(cells[1], ",") {
				listed = append(listed, strings.TrimSpace(name))
			}
		}
	}
	needed := modules(t, "go.mod", directly)
	for _, name := range needed {
		if !slices.Contains(listed, strings.TrimPrefix(name, "github.com/")) {
			t.Errorf("docs/dependencies.md does not say what %s is for", name)
		}
	}
	// What only tools are made of has modules of its own, in which all is indirect.
	others, err := filepath.Glob("*/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(others, "tools/go.mod") {
		needed = append(needed, modules(t, path, atAll)...)
	}
	for _, name := range listed {
		// Of some modules, one package is meant.
		if !slices.ContainsFunc(needed, func(module string) bool {
			return strings.HasPrefix(name+"/", module+"/") || strings.HasPrefix("github.com/"+name+"/", module+"/")
		}) {
			t.Errorf("docs/dependencies.md names %s, which nothing needs directly", name)
		}
	}
}
