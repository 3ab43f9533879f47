package state

// Store keeps the files of one state folder by their names, such as "role.json".
// In production they are files (see files.go); a simulated node keeps them in
// memory (see Memory). All methods may be called concurrently.
type Store interface {
	// Path returns where the folder is, for messages.
	Path() string
	// Load returns a file's content. Without one, the error is fs.ErrNotExist.
	Load(name string) ([]byte, error)
	// Save replaces a file as a whole: a reader sees the old or the new content.
	// A durable one survives a power cut once Save has returned.
	Save(name string, data []byte, durable bool) error
	// Remove removes a file. A file that does not exist is no error.
	Remove(name string) error
	// TryLock takes a lock without waiting. While somebody else holds it, the
	// error is a *LockedError.
	TryLock(name string) (Unlocker, error)
	// Locked reports whether somebody holds a lock.
	Locked(name string) bool
}

// Unlocker releases a held lock; releasing it twice is no error.
type Unlocker interface{ Unlock() error }
