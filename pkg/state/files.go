package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// files is the store of a real state folder.
type files struct{ path string }

// openFiles makes the folder (mode 0755, with its parents) when it is missing.
func openFiles(path string) (files, error) {
	if !filepath.IsAbs(path) {
		return files{}, fmt.Errorf("open state folder %q: the path must be absolute", path)
	}
	f := files{path}
	return f, f.make()
}

func (f files) make() error {
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return &AccessError{Op: "make state folder", Path: f.path, Err: err}
	}
	return nil
}

func (f files) Path() string { return f.path }

func (f files) Load(name string) ([]byte, error) { return os.ReadFile(filepath.Join(f.path, name)) }

// Save makes a missing folder again: the run folder of a boot has no owner to make it.
func (f files) Save(name string, data []byte, durable bool) error {
	err := f.save(name, data, durable)
	if errors.Is(err, fs.ErrNotExist) && f.make() == nil {
		return f.save(name, data, durable)
	}
	return err
}

func (f files) save(name string, data []byte, durable bool) error {
	path := filepath.Join(f.path, name)
	if !durable {
		// The caller holds the lock of this name: nobody else writes it now.
		beside := path + ".new"
		if err := os.WriteFile(beside, data, 0o644); err != nil {
			return err
		}
		return os.Rename(beside, path)
	}
	// The temporary file must be on the same file system as its target, and
	// $TMPDIR, which renameio would try first, is of no interest here.
	if err := renameio.WriteFile(path, data, 0o644, renameio.WithTempDir(f.path)); err != nil {
		return err
	}
	return f.sync()
}

// sync makes renames in the folder durable; renameio syncs only the file.
func (f files) sync() error {
	folder, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

func (f files) Remove(name string) error {
	err := os.Remove(filepath.Join(f.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// holder is what a lock file says about who holds it. It serves messages
// only; the lock itself is the kernel's.
type holder struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

func (f files) flock(name string) *flock.Flock {
	return flock.New(filepath.Join(f.path, name), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o644))
}

func (f files) TryLock(name string) (Unlocker, error) {
	l := f.flock(name)
	held, err := l.TryLock()
	if err != nil {
		return nil, err
	}
	if !held {
		h := readHolder(l.Path())
		return nil, &LockedError{Path: l.Path(), PID: h.PID, Since: h.Since}
	}
	if err := writeHolder(l.Path(), holder{PID: os.Getpid(), Since: time.Now().Truncate(time.Second)}); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return fileLock{l}, nil
}

// Locked does not wait, and does not keep a lock that is free from others for
// longer than a moment.
func (f files) Locked(name string) bool {
	l := f.flock(name)
	defer l.Close()
	free, err := l.TryRLock()
	return err == nil && !free
}

// fileLock is a held flock(2). The kernel ties it to this process: however the
// process ends, the lock ends with it, so a lock file left behind means nothing.
type fileLock struct{ flock *flock.Flock }

func (l fileLock) Unlock() error {
	if !l.flock.Locked() {
		return nil
	}
	// An empty file keeps the next process that finds it locked from naming this process.
	if err := os.Truncate(l.flock.Path(), 0); err != nil {
		return errors.Join(err, l.flock.Close())
	}
	return l.flock.Close()
}

func writeHolder(path string, h holder) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

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
