package state

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// AccessError says that the state folder or a file in it could not be used.
type AccessError struct {
	Op   string // what was tried, such as "write state"
	Path string
	Err  error
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Op, e.Path, cause(e.Err))
}

func (e *AccessError) Unwrap() error { return e.Err }

// Hint says what to do next, where the cause tells.
func (e *AccessError) Hint() string {
	switch {
	case errors.Is(e.Err, fs.ErrPermission):
		return "run this as root, or set state_dir to a folder that this user may write"
	case errors.Is(e.Err, syscall.ENOSPC):
		return "make room on the file system of " + e.Path
	case errors.Is(e.Err, syscall.EROFS):
		return "the file system of " + e.Path + " is read-only; remount it or set state_dir"
	}
	return ""
}

// cause drops the operation and path that package os puts before an error;
// AccessError says both in its own words.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// CorruptError says that a state file holds something that no version of
// these programs has written.
type CorruptError struct {
	Path string
	Err  error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("read state %s: not valid: %v", e.Path, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *CorruptError) Hint() string {
	return fmt.Sprintf("look at %s and repair it or move it away; without it this node knows nothing of what it recorded there", e.Path)
}

// LockedError says that another process holds a lock.
type LockedError struct {
	Name string
	Path string
	// PID is the holder's process id, 0 when it is not known (the holder is
	// in another pid namespace or took the lock this very moment).
	PID int
	// Since is when the holder took the lock; zero when PID is 0.
	Since time.Time
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("lock %s: another process holds %s", e.Name, e.Path)
	}
	return fmt.Sprintf("lock %s: process %d has held %s since %s", e.Name, e.PID, e.Path, e.Since.Format(time.RFC3339))
}

// ExitCode is 75, EX_TEMPFAIL of sysexits.h: try again later.
func (e *LockedError) ExitCode() int { return exit.Locked }

// Hint says what to do next.
func (e *LockedError) Hint() string {
	if e.PID == 0 {
		return "wait for it to end; the lock ends with the process that holds it"
	}
	return fmt.Sprintf("wait for it to end, or look at it with: ps -fp %d; the lock ends with that process", e.PID)
}
