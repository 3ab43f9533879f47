package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/pkg/exit"
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
func (e *UsageError) ExitCode() int { return exit.Usage }

// finish prints err, if there is one, and returns the exit code. It is the
// only place that prints errors.
func (p *Process) finish(ctx context.Context, err error) int {
	if err == nil {
		return exit.Done
	}
	if stopped, ok := errors.AsType[signalError](context.Cause(ctx)); ok {
		text := stopped.Error()
		// What failed because of the signal is told only if it adds to it.
		if !errors.Is(err, context.Canceled) && !errors.Is(err, stopped) {
			text += ": " + err.Error()
		}
		p.keep(err)
		fmt.Fprintf(p.Stderr, "%s: %s\n", p.Name, text)
		return exit.Signal + int(stopped.signal)
	}
	p.keep(err)
	fmt.Fprintf(p.Stderr, "%s: error: %s\n", p.Name, strings.TrimRight(err.Error(), "\n"))
	for _, hint := range exit.Hints(err) {
		fmt.Fprintf(p.Stderr, "hint: %s\n", hint)
	}
	if usage, ok := errors.AsType[*UsageError](err); ok && usage.Command != "" {
		fmt.Fprintf(p.Stderr, "Try: %s --help\n", usage.Command)
	}
	return exit.Code(err)
}

// keep logs an error that nobody would see otherwise.
func (p *Process) keep(err error) {
	if p.kept {
		p.Log.Error().Str("hint", strings.Join(exit.Hints(err), "; ")).Msg(strings.TrimSpace(err.Error()))
	}
}
