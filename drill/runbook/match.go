package runbook

import (
	"fmt"
	"regexp"
	"strings"
)

// MismatchError reports output that differs from the page.
type MismatchError struct {
	// Wanted is the first line of the pattern without a match; it is empty when
	// output follows the end of the pattern.
	Wanted string
	Output string
}

func (e *MismatchError) Error() string {
	what := fmt.Sprintf("no line is like %q", e.Wanted)
	if e.Wanted == "" {
		what = "there is more than the page shows"
	}
	return fmt.Sprintf("%s; what was printed:\n%s", what, e.Output)
}

// anything stands for any text, or alone for any lines.
const anything = "…"

// changing returns the texts that differ from one run to the next, with their
// placeholders.
var changing = []struct {
	is    *regexp.Regexp
	shown string
}{
	{regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]`), ""},
	{regexp.MustCompile(`\b\d{8}T\d{6}Z\b`), "⟨time⟩"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?Z?\b`), "⟨time⟩"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\b`), "⟨time⟩"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ([KMGT]i)?B\b`), "⟨size⟩"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(ms|µs|s|m|h|d))+\b`), "⟨duration⟩"},
	{regexp.MustCompile(`\+?\b\d+\.\d\d\b`), "⟨seconds⟩"},
	{regexp.MustCompile(`\s+`), " "},
}

// Match compares output with a pattern. The error is a *MismatchError.
func Match(pattern, output string) error {
	wanted, got := plain(pattern), plain(output)
	// reached holds the numbers of output lines that the previous lines of the
	// pattern can cover.
	reached := map[int]bool{0: true}
	for _, line := range wanted {
		next := map[int]bool{}
		for n := range reached {
			switch {
			case line == anything:
				for ; n <= len(got); n++ {
					next[n] = true
				}
			case n < len(got) && matches(line, got[n]):
				next[n+1] = true
			}
		}
		if len(next) == 0 {
			return &MismatchError{line, output}
		}
		reached = next
	}
	if !reached[len(got)] {
		return &MismatchError{"", output}
	}
	return nil
}

func matches(pattern, line string) bool {
	rest := line
	parts := strings.Split(pattern, anything)
	for i, part := range parts {
		at := strings.Index(rest, part)
		switch {
		case at < 0, i == 0 && at > 0:
			return false
		case i == len(parts)-1:
			return i == 0 && rest == part || i > 0 && strings.HasSuffix(rest, part)
		}
		rest = rest[at+len(part):]
	}
	return true
}

// plain returns the non-empty lines of a text with placeholders for changing
// parts.
func plain(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		// On a terminal the next text overwrites a progress bar.
		line = line[strings.LastIndex(line, "\r")+1:]
		for _, c := range changing {
			line = c.is.ReplaceAllString(line, c.shown)
		}
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
