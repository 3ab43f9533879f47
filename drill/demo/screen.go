package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"github.com/understudy-ha/understudy/pkg/report"
)

// width is the smallest width of a terminal.
const width = 80

// screen prints the steps. It uses colours on terminals whose user has not
// declined them.
type screen struct {
	out     io.Writer
	colours bool

	mu    sync.Mutex // the lab's progress comes from other goroutines
	part  string     // of a line of that progress
	steps int
	began time.Time
}

func newScreen(out *os.File) *screen {
	return &screen{out: out, colours: term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// The styles as ANSI codes.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

func (s *screen) styled(style, text string) string {
	if !s.colours || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (s *screen) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.out, text)
}

// step starts a numbered step.
func (s *screen) step(title string) {
	s.steps++
	s.began = time.Now()
	s.line("\n" + s.styled(cyan, fmt.Sprintf("%2d", s.steps)) + "  " + s.styled(bold, title))
}

// say prints a line of a step.
func (s *screen) say(format string, args ...any) {
	s.line("    " + fmt.Sprintf(format, args...))
}

// command prints a command that runs on a node.
func (s *screen) command(node, text string) {
	s.line("    " + s.styled(dim, node+" # ") + text)
}

// done ends a step with its outcome and duration.
func (s *screen) done(format string, args ...any) {
	text, took := fmt.Sprintf(format, args...), report.Duration(time.Since(s.began))
	s.line("    " + pad(text, width-4-len(took)-1) + " " + s.styled(dim, took))
}

// Write prints the lab's progress in a subdued colour.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part += string(p)
	for {
		line, rest, whole := strings.Cut(s.part, "\n")
		if !whole {
			return len(p), nil
		}
		s.part = rest
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintln(s.out, "    "+s.styled(dim, shorten(line, width-4)))
		}
	}
}

// table prints rows under a heading; columns are numbered as in the heading.
// Cells are padded by their width on a terminal.
func (s *screen) table(heading []string, rows [][]string) {
	widths := make([]int, len(heading))
	for _, row := range append([][]string{heading}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	format := func(row []string) string {
		var cells []string
		for i, cell := range row {
			cells = append(cells, pad(cell, widths[i]))
		}
		return strings.TrimRight("    "+strings.Join(cells, "  "), " ")
	}
	s.line(s.styled(bold, format(heading)))
	for _, row := range rows {
		style := green
		if row[len(row)-1] != "yes" {
			style = red
		}
		text, last := format(row), row[len(row)-1]
		s.line(strings.TrimSuffix(text, last) + s.styled(style, last))
	}
}

func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-uniseg.StringWidth(text)))
}

// shorten cuts a text to a number of columns.
func shorten(text string, columns int) string {
	if uniseg.StringWidth(text) <= columns {
		return text
	}
	var b strings.Builder
	for cluster := uniseg.NewGraphemes(text); cluster.Next(); {
		if uniseg.StringWidth(b.String())+cluster.Width() > columns-1 {
			break
		}
		b.WriteString(cluster.Str())
	}
	return b.String() + "…"
}
