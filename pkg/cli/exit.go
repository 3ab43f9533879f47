package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// Exit codes. Those from 64 on are those of sysexits.h. A signal that ended
// the run gives 128 and its number: 130 for SIGINT, 143 for SIGTERM.
const (
	Done    = 0  // done, or nothing to do
	Failed  = 1  // failed
	Partial = 3  // done in part
	Usage   = 64 // wrong command line
	Locked  = 75 // another run holds the lock
	Refused = 76 // refused: role, term or conflict
	Config  = 78 // wrong configuration
)

// UsageError is a wrong command line.
type UsageError struct {
	Text string
	// Command is the path of the command whose help explains it, such as
	// "zfs-replicate run"; Run fills it in.
	Command string
}

// Usagef returns a UsageError, for what a command finds wrong with its flags
// and arguments by itself.
func Usagef(format string, args ...any) *UsageError {
	return &UsageError{Text: fmt.Sprintf(format, args...)}
}

func (e *UsageError) Error() string { return e.Text }

// ExitCode is 64.
func (e *UsageError) ExitCode() int { return Usage }

// exitCode returns the code of the first error in the tree that has one.
func exitCode(err error) int {
	code := Failed
	visit(err, func(err error) bool {
		c, ok := err.(interface{ ExitCode() int })
		if ok {
			code = c.ExitCode()
		}
		return ok
	})
	return code
}

// hints returns the different hints in the tree, in order.
func hints(err error) []string {
	var list []string
	visit(err, func(err error) bool {
		if h, ok := err.(interface{ Hint() string }); ok {
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

// finish prints err, if there is one, and returns the exit code. It is the
// only place that prints errors.
func (p *Process) finish(ctx context.Context, err error) int {
	if err == nil {
		return Done
	}
	if stopped, ok := errors.AsType[signalError](context.Cause(ctx)); ok {
		text := stopped.Error()
		// What failed because of the signal is told only if it adds to it.
		if !errors.Is(err, context.Canceled) && !errors.Is(err, stopped) {
			text += ": " + err.Error()
		}
		p.keep(err)
		fmt.Fprintf(p.Stderr, "%s: %s\n", p.Name, text)
		return 128 + int(stopped.signal)
	}
	p.keep(err)
	fmt.Fprintf(p.Stderr, "%s: error: %s\n", p.Name, strings.TrimRight(err.Error(), "\n"))
	for _, hint := range hints(err) {
		fmt.Fprintf(p.Stderr, "hint: %s\n", hint)
	}
	if usage, ok := errors.AsType[*UsageError](err); ok && usage.Command != "" {
		fmt.Fprintf(p.Stderr, "Try: %s --help\n", usage.Command)
	}
	return exitCode(err)
}

// keep logs an error that nobody would see otherwise.
func (p *Process) keep(err error) {
	if p.kept {
		p.Log.Error().Str("hint", strings.Join(hints(err), "; ")).Msg(strings.TrimSpace(err.Error()))
	}
}
