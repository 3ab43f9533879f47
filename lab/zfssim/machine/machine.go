package machine

import (
	"errors"
	"io"
	"time"
)

// Machine is what the simulator needs of the machine that it runs on.
type Machine struct {
	Files  Files
	Trees  Trees
	Mounts Mounts
	Now    func() time.Time
	Random io.Reader
	// ReadFile returns a file outside the store, such as the one that holds a key.
	ReadFile func(path string) ([]byte, error)
	// FileSize returns the bytes of a vdev.
	FileSize func(path string) (int64, error)
	// Kill ends the process at once, as SIGKILL does. It does not return: where
	// several runs share a process it panics with Killed.
	Kill func()
}

// Files keeps the store's own files. Folders are made as files need them. A
// missing file is fs.ErrNotExist.
type Files interface {
	Read(path string) ([]byte, error)
	// Size returns the bytes of a file.
	Size(path string) (int64, error)
	// Replace writes a whole file: a reader sees the old contents or the new.
	Replace(path string, data []byte) error
	// Append writes to the end of a file, which it makes when it is missing.
	Append(path string, data []byte) error
	Truncate(path string, size int64) error
	Move(from, to string) error
	// Remove removes a file, or a folder with all that is in it, if it exists.
	Remove(path string) error
	// List returns the files below a folder, sorted by their paths. A missing
	// folder has none.
	List(folder string) ([]File, error)
	// Lock locks an existing file until the lock is closed or its process ends.
	// With Try set, it returns ErrLocked instead of waiting.
	Lock(path string, mode LockMode) (io.Closer, error)
}

// File is a file of the store.
type File struct {
	Path string
	Size int64
}

// LockMode says how a file is locked.
type LockMode struct {
	Exclusive bool
	Try       bool
}

// ErrLocked is returned for a file that somebody else has locked.
var ErrLocked = errors.New("locked")

// Trees keeps the live folders of datasets: what programs read and write at the
// mount points. The live folder of a volume holds one file.
type Trees interface {
	// Make makes the folder of a new tree.
	Make(dir string) error
	// Scan returns the entries of a tree, sorted by their paths, without chunks.
	Scan(dir string) (Manifest, error)
	// Settled is Scan for a state that is about to be saved. An entry that could
	// still change without showing it has CTime 0, unless known has it unchanged.
	Settled(dir string, known map[string]*Entry) (Manifest, error)
	Open(dir, path string) (io.ReadCloser, error)
	// Put makes one file as the entry says. chunk returns the contents of a chunk,
	// or nil for a hole.
	Put(dir string, e *Entry, chunk func(i int) ([]byte, error)) error
	// Touch sets the times of a file, once its folder is complete.
	Touch(dir string, e *Entry) error
	Remove(dir, path string) error
	// Resize makes a file of that size, or changes its size.
	Resize(dir, path string, size int64) error
}

// Mounts shows live folders at mount points, and volumes as devices.
type Mounts interface {
	// Table returns the mount points of each dataset by the name of its folder.
	Table() map[string][]string
	Mount(dir, at string, o MountOptions) error
	Remount(at string, readonly bool) error
	Unmount(at string, force bool) error
	// Empty reports whether nothing is in a mount point's folder.
	Empty(at string) bool
	// Forget removes the empty folder of a mount point.
	Forget(at string)
	// Link shows the file of a volume as a device; Unlink takes the device away.
	Link(volume, dir, file string) error
	Unlink(volume string) error
}

// MountOptions are the properties that become flags of a mount.
type MountOptions struct{ Readonly, Nodev, Noexec, Nosuid, Noatime bool }

// MountpointError is the error of Mount when the folder of a mount point cannot
// be made.
type MountpointError struct{ Cause error }

func (e *MountpointError) Error() string { return "failed to create mountpoint: " + e.Cause.Error() }

func (e *MountpointError) Unwrap() error { return e.Cause }

// Temporary ends the name of a file that is not in place yet.
const Temporary = ".tmp"

// Killed is the panic that stands for SIGKILL.
type Killed struct{}
