package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rule is one file of a style.
type rule struct {
	Name       string            `yaml:"-"`
	Extends    string            `yaml:"extends"`
	Message    string            `yaml:"message"`
	Level      string            `yaml:"level"`
	Scope      string            `yaml:"scope"`
	IgnoreCase bool              `yaml:"ignorecase"`
	Swap       map[string]string `yaml:"swap"`
	Tokens     []string          `yaml:"tokens"`
	Token      string            `yaml:"token"`
	Max        int               `yaml:"max"`

	patterns []pattern
}

// pattern is what a rule looks for, and what to write instead.
type pattern struct {
	find *regexp.Regexp
	use  string
}

// hit is a place that breaks a rule. Its offset counts the bytes of a block's text.
type hit struct {
	offset  int
	level   string
	message string
}

// loadRules reads all rules of a folder, ordered by name.
func loadRules(folder string) ([]rule, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yml"))
	if err != nil {
		return nil, err
	}
	var rules []rule
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		r := rule{Name: strings.TrimSuffix(filepath.Base(file), ".yml")}
		if err := yaml.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if err := r.compile(); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		rules = append(rules, r)
	}
	if len(rules) == 0 {
		return nil, fmt.Errorf("%s holds no rules", folder)
	}
	return rules, nil
}

func (r *rule) compile() error {
	switch r.Extends {
	case "substitution":
		for find, use := range r.Swap {
			if err := r.add(find, use); err != nil {
				return err
			}
		}
		slices.SortFunc(r.patterns, func(a, b pattern) int { return cmp.Compare(a.find.String(), b.find.String()) })
	case "existence":
		return r.add(strings.Join(r.Tokens, "|"), "")
	case "occurrence":
		if r.Scope != "sentence" {
			return fmt.Errorf("an occurrence is counted in sentences, not in %q", r.Scope)
		}
		find, err := regexp.Compile(r.Token)
		r.patterns = []pattern{{find: find}}
		return err
	default:
		return fmt.Errorf("rules of kind %q are not known", r.Extends)
	}
	return nil
}

// add takes a pattern of whole words, as vale does.
func (r *rule) add(find, use string) error {
	text := `\b(?:` + find + `)\b`
	if r.IgnoreCase {
		text = "(?i)" + text
	}
	compiled, err := regexp.Compile(text)
	r.patterns = append(r.patterns, pattern{compiled, use})
	return err
}

// check returns the places of a text that break the rule.
func (r *rule) check(text string) []hit {
	if r.Extends == "occurrence" {
		return r.count(text)
	}
	var hits []hit
	for _, p := range r.patterns {
		for _, at := range p.find.FindAllStringIndex(text, -1) {
			found := text[at[0]:at[1]]
			message := fmt.Sprintf(r.Message, found)
			if r.Extends == "substitution" {
				message = fmt.Sprintf(r.Message, p.use, found)
			}
			hits = append(hits, hit{at[0], r.Level, message})
		}
	}
	return hits
}

func (r *rule) count(text string) []hit {
	var hits []hit
	for _, s := range sentences(text) {
		if n := len(r.patterns[0].find.FindAllString(text[s[0]:s[1]], -1)); n > r.Max {
			hits = append(hits, hit{s[0], r.Level, fmt.Sprintf("%s: %d", r.Message, n)})
		}
	}
	return hits
}

var sentenceEnd = regexp.MustCompile(`[.!?][)"'*_]*\s+`)

// sentences returns where each sentence of a text begins and ends.
func sentences(text string) [][2]int {
	var found [][2]int
	start := 0
	for _, at := range sentenceEnd.FindAllStringIndex(text, -1) {
		found = append(found, [2]int{start, at[1]})
		start = at[1]
	}
	return append(found, [2]int{start, len(text)})
}
