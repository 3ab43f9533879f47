package drill

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named finds the names of tests in README.md; … stands for another scenario of
// the test before.
var named = regexp.MustCompile("`(Test[A-Za-z]+|…)(/[^`]+)?`")

// Every test and scenario that README.md names for an item of the plan exists.
func TestChecklistNamesTests(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"*_test.go", "../packaging/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range named.FindAllStringSubmatch(string(page), -1) {
		test, scenario := m[1], strings.ReplaceAll(strings.TrimPrefix(m[2], "/"), "_", " ")
		if test != "…" && !strings.Contains(source.String(), "func "+test+"(t *testing.T)") {
			t.Errorf("there is no %s", test)
		}
		if scenario != "" && !strings.Contains(source.String(), `{"`+scenario+`", `) {
			t.Errorf("%s has no scenario %q", test, scenario)
		}
		found++
	}
	if found < 20 {
		t.Errorf("only %d tests are found on the page", found)
	}
}
