package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const styles = "scripts/prose/styles/Understudy"

func main() {
	warnings := flag.Bool("warnings", false, "show warnings too")
	flag.Parse()
	errors, err := run(flag.Args(), *warnings)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(1)
	}
	if errors > 0 {
		os.Exit(1)
	}
}

// run checks the named files and folders, or everything, and returns how many
// errors it has printed.
func run(paths []string, warnings bool) (int, error) {
	rules, err := loadRules(styles)
	if err != nil {
		return 0, err
	}
	r := report{rules: rules, warnings: warnings}
	if len(paths) == 0 {
		paths = []string{"."}
		r.text("help", helpBlocks())
	}
	for _, path := range paths {
		if path == "help" {
			r.text("help", helpBlocks())
			continue
		}
		if err := filepath.WalkDir(path, r.visit); err != nil {
			return 0, err
		}
	}
	fmt.Printf("%d errors, %d warnings in %d texts\n", r.errors, r.warned, r.texts)
	return r.errors, nil
}

// report prints what breaks the rules, and counts.
type report struct {
	rules                 []rule
	warnings              bool
	errors, warned, texts int
}

func (r *report) visit(path string, d fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case d.IsDir():
		if path != "." && strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"bin", "dist", "testdata", "styles"}, d.Name()) {
			return filepath.SkipDir
		}
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	switch filepath.Ext(path) {
	case ".md":
		r.text(path, markdownBlocks(string(text)))
	case ".go":
		blocks, err := goBlocks(path, text)
		if err != nil {
			return err
		}
		r.text(path, blocks)
	case ".service", ".timer", ".conf", ".example", ".yaml", ".yml", ".sh":
		r.text(path, noteBlocks(string(text)))
	case "": // scripts, cron files, Makefile
		if bytes.HasPrefix(text, []byte("#")) {
			r.text(path, noteBlocks(string(text)))
		}
	}
	return nil
}

// text checks the blocks of one text.
func (r *report) text(path string, blocks []block) {
	r.texts++
	for _, b := range blocks {
		for _, rule := range r.rules {
			for _, h := range rule.check(b.text) {
				if h.level == "error" {
					r.errors++
				} else if r.warned++; !r.warnings {
					continue
				}
				fmt.Printf("%s: %s %s: %s\n", where(path, b, h), h.level, rule.Name, h.message)
			}
		}
	}
}

func where(path string, b block, h hit) string {
	if b.name != "" {
		return b.name + " --help"
	}
	return fmt.Sprintf("%s:%d", path, b.line(h.offset))
}
