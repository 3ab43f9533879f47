package main

import (
	"strings"
	"testing"
)

func rules(t *testing.T) []rule {
	t.Helper()
	loaded, err := loadRules("styles/Understudy")
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// broken are the names of the rules that blocks break, by line.
func broken(t *testing.T, blocks []block) string {
	t.Helper()
	var found []string
	for _, b := range blocks {
		for _, r := range rules(t) {
			for _, h := range r.check(b.text) {
				found = append(found, strings.Repeat("\n", b.line(h.offset)-1)+r.Name)
			}
		}
	}
	return strings.Join(found, " ")
}

func TestSentences(t *testing.T) {
	for text, want := range map[string]string{
		"The receiver verifies the role.":                              "",
		"A change that is under way then is gone on with by the next.": "Idioms Idioms",
		"It is looked that the datasets are writable.":                 "Idioms",
		"Keep the wish.":               "Terms",
		"None of 4 runs.":              "Numbers",
		"0 of 4 running":               "",
		"The floating\naddress moves.": "Terms",
		"Use `failover-notify resolve --give-way` or `what is only here`.": "",
		"[x](what-is-only-here.md#the-tail)":                               "",
		"Should it fail, repeat it.":                                       "Inversion",
		strings.Repeat("word ", 28) + "end. Short one.":                    "Long",
		strings.Repeat("word ", 20) + "end. " + strings.Repeat("w ", 20):   "",
		strings.Repeat("word ", 41) + "end.":                               "Long TooLong",
	} {
		if got := strings.Join(strings.Fields(broken(t, markdownBlocks(text))), " "); got != want {
			t.Errorf("%q breaks %q, not %q", text, got, want)
		}
	}
}

// A place is the line of the file, and code is left out.
func TestPlaces(t *testing.T) {
	page := "# The wish\n\n```\nwish\n```\n\nOne line,\nthen a wish.\n\n| a | the wish |\n- an item\n  of a wish\n<!-- wish -->\n"
	if got := broken(t, markdownBlocks(page)); got != "Terms "+strings.Repeat("\n", 7)+"Terms "+strings.Repeat("\n", 9)+"Terms "+strings.Repeat("\n", 11)+"Terms" {
		t.Errorf("%q", got)
	}
}

func TestSources(t *testing.T) {
	source := "// Package x mends.\n//\n//\twish\npackage x\n\n//go:wish x\nvar a, wish = \"the next wish is\", \"wish\"\n"
	blocks, err := goBlocks("x.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(broken(t, blocks)), " "); got != "Idioms Terms" {
		t.Errorf("%q", got)
	}
	if got := broken(t, noteBlocks("a: the wish\n# a wish\n")); got != "\nTerms" {
		t.Errorf("%q", got)
	}
}

func TestHelp(t *testing.T) {
	if n := len(helpBlocks()); n < 100 {
		t.Errorf("only %d texts of help are found", n)
	}
}
