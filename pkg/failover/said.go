package failover

import (
	"errors"
	"strings"

	"github.com/understudy-ha/understudy/pkg/run"
)

// SaidError is a failure of one of our own programs, in its own words.
type SaidError struct {
	Text   string
	Advice string
	Err    *run.Error
}

func (e *SaidError) Error() string { return e.Text }

func (e *SaidError) Unwrap() error { return e.Err }

// Hint is what that program says to do next.
func (e *SaidError) Hint() string { return e.Advice }

// ExitCode is that program's where it has refused, else 1.
func (e *SaidError) ExitCode() int {
	if e.Err.ExitCode == refusedCode {
		return refusedCode
	}
	return 1
}

// refusedCode is EX_PROTOCOL of sysexits.h.
const refusedCode = 76

// said finds the words of a program of ours that has failed: its last error, and
// the hint that goes with it.
func said(err error) error {
	failed, ok := errors.AsType[*run.Error](err)
	if !ok {
		return err
	}
	s := &SaidError{Err: failed}
	for line := range strings.Lines(failed.Stderr) {
		line = strings.TrimSpace(line)
		if _, text, ok := strings.Cut(line, ": error: "); ok {
			s.Text, s.Advice = text, ""
		} else if hint, ok := strings.CutPrefix(line, "hint: "); ok {
			s.Advice = hint
		}
	}
	if s.Text == "" {
		return err
	}
	return s
}
