package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// DefaultDir is where the state lives unless the configuration says otherwise.
const DefaultDir = "/var/lib/understudy"

// RunDir holds what must not survive a reboot, such as the eligibility file
// that keepalived watches.
const RunDir = "/run/understudy"

// Dir is an open state folder. Its methods may be called concurrently; that
// two writers of one name do not overwrite each other is the job of Lock.
type Dir struct {
	path string
}

// Open returns the state folder at path and makes it (mode 0755, with its
// parents) when it is missing.
func Open(path string) (*Dir, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("open state folder %q: the path must be absolute", path)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, &AccessError{Op: "make state folder", Path: path, Err: err}
	}
	return &Dir{path: path}, nil
}

// Path returns the folder's absolute path.
func (d *Dir) Path() string { return d.path }

// Read decodes NAME.json into v. A file that does not exist is no error:
// found is false and v is left alone. A file that holds something else than
// JSON fitting v is a *CorruptError.
func (d *Dir) Read(name string, v any) (found bool, err error) {
	path, err := d.file(name, ".json")
	if err != nil {
		return false, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &AccessError{Op: "read state", Path: path, Err: err}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, &CorruptError{Path: path, Err: err}
	}
	return true, nil
}

// Write replaces NAME.json by v. Afterwards the file holds either the old or
// the new content as a whole, and the new one once Write has returned, even
// after a power cut: file and folder are synced.
func (d *Dir) Write(name string, v any) error {
	path, err := d.file(name, ".json")
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state %s: %w", name, err)
	}
	// The temporary file must be on the same file system as its target, and
	// $TMPDIR, which renameio would try first, is of no interest here.
	err = renameio.WriteFile(path, append(data, '\n'), 0o644, renameio.WithTempDir(d.path))
	if err != nil {
		return &AccessError{Op: "write state", Path: path, Err: err}
	}
	return d.sync()
}

// sync makes renames in the folder durable; renameio syncs only the file.
func (d *Dir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return &AccessError{Op: "open state folder", Path: d.path, Err: err}
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return &AccessError{Op: "sync state folder", Path: d.path, Err: err}
	}
	return nil
}

// file returns the path of a name with its extension. Names come from dataset
// and node names at times, so nothing that could leave the folder or hide in
// it is accepted.
func (d *Dir) file(name, ext string) (string, error) {
	if !validName(name) {
		return "", fmt.Errorf("state file %q: a name has 1 to 128 letters, digits, '.', '_' or '-' and starts with a letter or digit", name)
	}
	return filepath.Join(d.path, name+ext), nil
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
