package remote

import (
	"errors"
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/run"
)

// Error is how one of our programs failed, in its own words.
type Error struct {
	Node   string // on which it ran; "" is this node
	Text   string
	Advice string // what to do next: its hints, joined by "; "
	Code   int    // its exit code; 0 is unknown
	Cause  error
}

func (e *Error) Error() string {
	if e.Node == "" {
		return e.Text
	}
	return fmt.Sprintf("on %s: %s", e.Node, e.Text)
}

func (e *Error) Unwrap() error { return e.Cause }

// ExitCode is that of the program, or Failed.
func (e *Error) ExitCode() int {
	if e.Code <= 0 {
		return exit.Failed
	}
	return e.Code
}

// Hint is what the program says to do next.
func (e *Error) Hint() string { return e.Advice }

// Unknown reports whether the program, or the gate in front of it, did not know
// the question: an older release does not know what a newer one asks.
func (e *Error) Unknown() bool { return e.Code == exit.Refused || e.Code == exit.Usage }

// lastWords returns the error that one of our programs printed last on stderr, with
// its hints; nil where it printed none.
func lastWords(stderr string) *Error {
	var e *Error
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if tool, text, ok := strings.Cut(line, ": error: "); ok && isTool(tool) {
			e = &Error{Text: text}
		} else if hint, ok := strings.CutPrefix(line, "hint: "); ok && e != nil {
			e.Advice = strings.TrimPrefix(e.Advice+"; "+hint, "; ")
		}
	}
	return e
}

// isTool reports whether a word may be the name of one of our programs.
func isTool(word string) bool {
	return word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz-") == ""
}

// SaidIn returns what the program of a *run.Error said, else err itself.
func SaidIn(err error) error {
	failed, ok := errors.AsType[*run.Error](err)
	if !ok || failed.ExitCode <= 0 {
		return err
	}
	said := lastWords(failed.Stderr)
	if said == nil {
		return err
	}
	said.Code, said.Cause = failed.ExitCode, failed
	return said
}

// Explain returns why command, one of our programs, failed on the other node: by
// its own words, which may repeat those of another ssh, else by those of ssh.
func (s SSH) Explain(command string, err error) error {
	failed, ok := errors.AsType[*run.Error](err)
	if !ok {
		return err
	}
	if said, ok := errors.AsType[*Error](SaidIn(err)); ok {
		return said
	}
	if explained := s.ExplainText(failed.Stderr, command, err); explained != nil {
		return explained
	}
	return err
}
