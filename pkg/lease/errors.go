package lease

import (
	"fmt"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// UnreachableError is an etcd that does not answer, or refuses to.
type UnreachableError struct {
	Endpoints []string
	Err       error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("etcd (%s) does not answer: %s", strings.Join(e.Endpoints, ", "), short(e.Err))
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *UnreachableError) Hint() string {
	return "check that a majority of etcd's members is up and reachable from this node: failover-notify doctor"
}

// HeldError is a lease that another node holds.
type HeldError struct{ Holder Holder }

func (e *HeldError) Error() string {
	text := "the lease is held by " + e.Holder.Node
	if e.Holder.Term > 0 {
		text += fmt.Sprintf(" under term %d", e.Holder.Term)
	}
	if e.Holder.Stopping {
		text += ", which is stopping"
	}
	if e.Holder.Left > 0 {
		text += fmt.Sprintf(", for another %d s unless it is renewed", int(e.Holder.Left/time.Second))
	}
	return text
}

// LostError is a lease that this node no longer holds.
type LostError struct{ Text string }

func (e *LostError) Error() string { return "the lease is lost: " + e.Text }

// FileError is a configured file that can't be used.
type FileError struct {
	File string
	Text string
	hint string
}

func (e *FileError) Error() string { return fmt.Sprintf("read %s: %s", e.File, e.Text) }

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *FileError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *FileError) Hint() string { return e.hint }
