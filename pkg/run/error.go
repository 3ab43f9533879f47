package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"
)

// Error is a program that could not be started, failed, or was ended.
type Error struct {
	Argv     []string
	ExitCode int           // -1 when it did not exit by itself
	Elapsed  time.Duration // how long it ran
	TimedOut bool          // its own deadline passed
	Stderr   string        // the tail of what it printed there
	Cause    error
}

// Error names the program with its first arguments, and the last line that it
// printed on stderr.
func (e *Error) Error() string {
	name := e.Name()
	switch {
	case e.TimedOut:
		return fmt.Sprintf("%s: no end after %s: its deadline has passed", name, e.Elapsed.Round(time.Second))
	case errors.Is(e.Cause, exec.ErrNotFound), errors.Is(e.Cause, fs.ErrNotExist):
		return fmt.Sprintf("%s: not found on PATH", e.Argv[0])
	}
	if line := e.LastLine(); line != "" {
		return fmt.Sprintf("%s: %s", name, line)
	}
	return fmt.Sprintf("%s: %v", name, e.Cause)
}

// Unwrap returns the cause: an *exec.ExitError, a context's error, or why it
// could not be started.
func (e *Error) Unwrap() error { return e.Cause }

// Hint says what to do next, where that follows from the failure alone.
func (e *Error) Hint() string {
	switch {
	case e.TimedOut:
		return fmt.Sprintf("run %q by hand and see where it hangs (a suspended pool, a dead disk)", strings.Join(e.Argv, " "))
	case errors.Is(e.Cause, exec.ErrNotFound):
		return fmt.Sprintf("install %s, or put its folder on PATH", e.Argv[0])
	case errors.Is(e.Cause, errStuck):
		return "the kernel holds it: look at 'dmesg' and 'zpool status'; only a reboot may end it"
	}
	return ""
}

// Name is the program with the arguments that say what it was doing: as many
// as fit on a line.
func (e *Error) Name() string {
	const width = 60
	name := strings.Join(e.Argv, " ")
	if len(name) <= width {
		return name
	}
	short := e.Argv[0]
	for _, arg := range e.Argv[1:] {
		if len(short)+len(arg) > width {
			break
		}
		short += " " + arg
	}
	return short + " …"
}

// LastLine is the last line on stderr that is not blank.
func (e *Error) LastLine() string {
	lines := strings.Split(strings.TrimSpace(e.Stderr), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
