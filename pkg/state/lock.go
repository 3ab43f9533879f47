package state

import (
	"context"
	"errors"
	"time"
)

// Lock is a held lock.
type Lock struct {
	name, path string
	held       Unlocker
}

// Lock takes the lock NAME without waiting. When another process (or another
// Lock of this process) holds it, the error is a *LockedError.
func (d *Dir) Lock(name string) (*Lock, error) {
	file, err := fileName(name, ".lock")
	if err != nil {
		return nil, err
	}
	held, err := d.store.TryLock(file)
	if locked, ok := errors.AsType[*LockedError](err); ok {
		locked.Name = name
		return nil, locked
	}
	if err != nil {
		return nil, &AccessError{Op: "lock " + name, Path: d.path(file), Err: err}
	}
	return &Lock{name: name, path: d.path(file), held: held}, nil
}

// lockRetry is how often WaitLock tries to take a lock.
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

// Held reports whether somebody holds the lock NAME. Several may ask at the same
// time; who takes the lock at that moment by Lock finds it held.
func (d *Dir) Held(name string) bool {
	file, err := fileName(name, ".lock")
	return err == nil && d.store.Locked(file)
}

// Unlock releases the lock. Calling it again does nothing.
func (l *Lock) Unlock() error {
	if err := l.held.Unlock(); err != nil {
		return &AccessError{Op: "unlock " + l.name, Path: l.path, Err: err}
	}
	return nil
}
