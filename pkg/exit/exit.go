// Package exit owns how a run ends: the exit codes of all programs, and how an
// error carries its own code and a hint.
//
// It must not know any error in particular, and imports nothing of this project.
package exit

import (
	"errors"
	"os/exec"
	"slices"
)

// Exit codes. Those from 64 on are those of sysexits.h. A signal that ended the
// run gives 128 and its number: 130 for SIGINT, 143 for SIGTERM.
const (
	Done    = 0  // done, or nothing to do
	Failed  = 1  // failed
	Partial = 3  // done in part
	Usage   = 64 // wrong command line (EX_USAGE)
	Locked  = 75 // another run holds the lock (EX_TEMPFAIL)
	Refused = 76 // refused: role, term or conflict (EX_PROTOCOL)
	Config  = 78 // wrong configuration (EX_CONFIG)
	Signal  = 128
)

// Coder is an error with an exit code of its own.
type Coder interface {
	error
	ExitCode() int
}

// Hinter is an error that knows what to do next. The hint is one line, "" where
// there is none.
type Hinter interface {
	error
	Hint() string
}

// Code returns the exit code of the first error in the tree that has one: Done
// without an error, Failed where none has.
func Code(err error) int {
	if err == nil {
		return Done
	}
	code := Failed
	visit(err, func(err error) bool {
		c, ok := err.(Coder)
		if ok {
			code = c.ExitCode()
		}
		return ok
	})
	return code
}

// Coded reports whether an error in the tree has an exit code of its own.
func Coded(err error) bool {
	return visit(err, func(err error) bool { _, ok := err.(Coder); return ok })
}

// Hint returns the hint of the first error in the tree that can have one.
func Hint(err error) string {
	if h, ok := errors.AsType[Hinter](err); ok {
		return h.Hint()
	}
	return ""
}

// Hints returns the different hints in the tree, in order.
func Hints(err error) []string {
	var list []string
	visit(err, func(err error) bool {
		if h, ok := err.(Hinter); ok {
			if hint := h.Hint(); hint != "" && !slices.Contains(list, hint) {
				list = append(list, hint)
			}
		}
		return false
	})
	return list
}

// visit calls f for err and all that it wraps, depth first, until f returns
// true. It differs from errors.As in leaving out *exec.ExitError: that has a
// method ExitCode too, but the code of a program that was started is not ours.
func visit(err error, f func(error) bool) bool {
	if _, foreign := err.(*exec.ExitError); err == nil || foreign {
		return false
	}
	if f(err) {
		return true
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return visit(wrapper.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, e := range wrapper.Unwrap() {
			if visit(e, f) {
				return true
			}
		}
	}
	return false
}
