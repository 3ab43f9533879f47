package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// Lock is a held lock. The kernel ties it to this process: however the process
// ends, the lock ends with it, so a lock file left behind means nothing.
type Lock struct {
	name  string
	flock *flock.Flock
}

// holder is what a lock file says about who holds it. It serves messages
// only; the lock itself is the kernel's.
type holder struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// Lock takes the lock NAME without waiting. When another process (or another
// Lock of this one) holds it, the error is a *LockedError.
func (d *Dir) Lock(name string) (*Lock, error) {
	path, err := d.file(name, ".lock")
	if err != nil {
		return nil, err
	}
	l := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o644))
	held, err := l.TryLock()
	if err != nil {
		return nil, &AccessError{Op: "lock " + name, Path: path, Err: err}
	}
	if !held {
		h := readHolder(path)
		return nil, &LockedError{Name: name, Path: path, PID: h.PID, Since: h.Since}
	}
	if err := writeHolder(path, holder{PID: os.Getpid(), Since: time.Now().Truncate(time.Second)}); err != nil {
		return nil, errors.Join(&AccessError{Op: "lock " + name, Path: path, Err: err}, l.Close())
	}
	return &Lock{name: name, flock: l}, nil
}

// lockRetry is how often WaitLock looks whether a lock is free.
const lockRetry = 5 * time.Millisecond

// WaitLock takes the lock NAME as soon as it is free, or returns the error of
// Lock when ctx ends before.
func (d *Dir) WaitLock(ctx context.Context, name string) (*Lock, error) {
	for {
		lock, err := d.Lock(name)
		if _, held := errors.AsType[*LockedError](err); !held {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(lockRetry):
		}
	}
}

// Held says whether somebody holds the lock NAME. Several may look at the same
// time; who takes the lock at that moment by Lock finds it held.
func (d *Dir) Held(name string) bool {
	path, err := d.file(name, ".lock")
	if err != nil {
		return false
	}
	l := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o644))
	defer l.Close()
	free, err := l.TryRLock()
	return err == nil && !free
}

// Unlock gives the lock back. Calling it again does nothing.
func (l *Lock) Unlock() error {
	if !l.flock.Locked() {
		return nil
	}
	// An empty file keeps the next one who finds it locked from being told
	// of this process.
	if err := os.Truncate(l.flock.Path(), 0); err != nil {
		return errors.Join(&AccessError{Op: "unlock " + l.name, Path: l.flock.Path(), Err: err}, l.flock.Close())
	}
	if err := l.flock.Close(); err != nil {
		return fmt.Errorf("unlock %s: %w", l.name, err)
	}
	return nil
}

// writeHolder overwrites the file in place: replacing it by a rename would
// leave the lock on an inode that nobody opens any more.
func writeHolder(path string, h holder) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// readHolder returns who holds the lock, or the zero holder when that cannot
// be told: the holder is about to write its name, or what the file says is
// left from a process that is gone.
func readHolder(path string) holder {
	data, err := os.ReadFile(path)
	if err != nil {
		return holder{}
	}
	var h holder
	if json.Unmarshal(data, &h) != nil || h.PID <= 0 {
		return holder{}
	}
	if errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH) {
		return holder{}
	}
	return h
}
