package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// ConfigError holds everything that is wrong with a configuration.
type ConfigError struct {
	// File is the configuration file.
	File     string
	Problems []Problem
}

// Problem is one thing that is wrong.
type Problem struct {
	// Where the value comes from: "FILE:LINE:COLUMN", "environment variable
	// NAME", "--FLAG", or just the file when the value is missing from it.
	Where string
	// Key is the path of the key, such as "nodes[1].address"; empty when the
	// problem is not with one key.
	Key  string
	Text string

	line, column int // for sorting; 0 outside of the file
}

func (p Problem) String() string {
	if p.Key == "" {
		return p.Where + ": " + p.Text
	}
	return p.Where + ": " + p.Key + ": " + p.Text
}

func (e *ConfigError) Error() string {
	if len(e.Problems) == 1 {
		return "config: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "config: %d problems:", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *ConfigError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *ConfigError) Hint() string {
	return "correct what is named above; the command `config check` looks again and does nothing else"
}

// FileError says that the configuration file could not be used at all.
type FileError struct {
	File string
	Err  error
	hint string
}

func (e *FileError) Error() string { return fmt.Sprintf("read config %s: %v", e.File, e.Err) }

func (e *FileError) Unwrap() error { return e.Err }

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *FileError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *FileError) Hint() string { return e.hint }

// source is where a value comes from.
type source struct {
	where  string
	line   int // 0 outside of the file
	column int // counts characters, from 1; 0 where it is not known
}

// exactly says where to the character.
func (s source) exactly() string {
	if s.column > 0 {
		return fmt.Sprintf("%s:%d", s.where, s.column)
	}
	return s.where
}

// sources maps the path of each key that was given to its source. Elements of
// lists have paths such as "nodes[0]" and "nodes[0].name".
type sources map[string]source

// nearest returns the source of path or, when it was not given, of the
// nearest key around it.
func (s sources) nearest(path string) (source, bool) {
	for path != "" {
		if at, ok := s[path]; ok {
			return at, true
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return source{}, false
}

// problems collects what is wrong.
type problems struct {
	file string
	list []Problem
}

// add records a problem, unless the key has one already: what follows from a
// mistake is not another mistake.
func (p *problems) add(at source, key, format string, args ...any) {
	if key != "" && slices.ContainsFunc(p.list, func(o Problem) bool { return o.Key == key }) {
		return
	}
	if at.where == "" {
		at.where = p.file
	}
	p.list = append(p.list, Problem{Where: at.exactly(), Key: key, Text: fmt.Sprintf(format, args...), line: at.line, column: at.column})
}

// err returns the problems as a *ConfigError in the order of the file, or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column)) })
	return &ConfigError{File: p.file, Problems: p.list}
}
