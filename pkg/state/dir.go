package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// DefaultDir is where the state lives unless the configuration says otherwise.
const DefaultDir = "/var/lib/understudy"

// RunDir holds what must not survive a reboot, such as the eligibility file
// that keepalived watches.
const RunDir = "/run/understudy"

// Dir is an open state folder. Its methods may be called concurrently; that
// two writers of one name do not overwrite each other is the job of Lock.
type Dir struct{ store Store }

// Open returns the state folder at path and makes it (mode 0755, with its
// parents) when it is missing.
func Open(path string) (*Dir, error) {
	store, err := openFiles(path)
	if err != nil {
		return nil, err
	}
	return &Dir{store}, nil
}

// Lazy returns the state folder at path, which is made once something is written to
// it, or by Make: for one that goes with each reboot, and that readers may not make.
func Lazy(path string) *Dir { return &Dir{files{path}} }

// Make makes the folder of files, with its parents, when it is missing.
func (d *Dir) Make() error {
	if f, ok := d.store.(files); ok {
		return f.make()
	}
	return nil
}

// On returns the state folder that a store keeps.
func On(store Store) *Dir { return &Dir{store} }

// Path returns the folder's absolute path.
func (d *Dir) Path() string { return d.store.Path() }

// path returns where a file lies, for messages.
func (d *Dir) path(file string) string { return filepath.Join(d.store.Path(), file) }

// Read decodes NAME.json into v. A file that does not exist is no error:
// found is false and v is left alone. A file that holds something else than
// JSON fitting v is a *CorruptError.
func (d *Dir) Read(name string, v any) (found bool, err error) {
	file, err := fileName(name, ".json")
	if err != nil {
		return false, err
	}
	data, err := d.store.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &AccessError{Op: "read state", Path: d.path(file), Err: err}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, &CorruptError{Path: d.path(file), Err: err}
	}
	return true, nil
}

// Write replaces NAME.json by v. Afterwards the file holds either the old or
// the new content as a whole, and the new one once Write has returned, even
// after a power cut: file and folder are synced.
func (d *Dir) Write(name string, v any) error { return d.save(name, v, true) }

// WritePassing replaces NAME.json by v without syncing it: for records that count
// in their own boot only, and for writers that must not wait for a disk.
func (d *Dir) WritePassing(name string, v any) error { return d.save(name, v, false) }

func (d *Dir) save(name string, v any, durable bool) error {
	file, err := fileName(name, ".json")
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state %s: %w", name, err)
	}
	if err := d.store.Save(file, append(data, '\n'), durable); err != nil {
		return &AccessError{Op: "write state", Path: d.path(file), Err: err}
	}
	return nil
}

// Remove removes NAME.json. Without one it does nothing.
func (d *Dir) Remove(name string) error {
	file, err := fileName(name, ".json")
	if err != nil {
		return err
	}
	if err := d.store.Remove(file); err != nil {
		return &AccessError{Op: "remove state", Path: d.path(file), Err: err}
	}
	return nil
}

// fileName returns a name with its extension. Names come from dataset and node
// names at times, so nothing that could leave the folder or hide in it is
// accepted.
func fileName(name, ext string) (string, error) {
	if !validName(name) {
		return "", fmt.Errorf("state file %q: a name has 1 to 128 letters, digits, '.', '_' or '-' and starts with a letter or digit", name)
	}
	return name + ext, nil
}

func validName(name string) bool {
	if name == "" || len(name) > 128 {
		return false
	}
	for i, r := range name {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alnum && (i == 0 || r != '.' && r != '_' && r != '-') {
			return false
		}
	}
	return true
}
