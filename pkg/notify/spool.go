package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
)

// The folder in the state folder, and those in it.
const (
	folder    = "notify"
	newFolder = "new"    // notices as programs put them
	curFolder = "taken"  // notices that the sender is at
	outFolder = "outbox" // messages that some channel has not got
)

// Spool is where notices are put. A nil one takes nothing.
type Spool struct {
	path string
	cfg  config.Notify
}

// Open returns the spool in a state folder, or nil where nobody is to be told.
func Open(cfg *config.Config, dir *state.Dir) *Spool {
	if cfg.Notify.URLsFile == "" {
		return nil
	}
	return &Spool{path: filepath.Join(dir.Path(), folder), cfg: cfg.Notify}
}

// SpoolError is a notice or message that could not be kept.
type SpoolError struct {
	Op, Path string
	Err      error
}

func (e *SpoolError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }
func (e *SpoolError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *SpoolError) Hint() string {
	return "see that the folder may be written by this user and its disk is not full"
}

// Settle is how long a problem that may pass by itself must last.
func (s *Spool) Settle() time.Duration {
	if s == nil {
		return 0
	}
	return s.cfg.Settle
}

// Put leaves a notice for the sender and returns. Of a condition only the
// newest notice of each reporter is kept, so that the folder stays small
// however long no sender runs.
func (s *Spool) Put(n Notice) error {
	if s == nil {
		return nil
	}
	dir := filepath.Join(s.path, newFolder)
	// 0700: what is told may say what an attacker would like to know.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &SpoolError{"make", dir, err}
	}
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode a notice: %w", err)
	}
	path := filepath.Join(dir, n.file())
	// Not synced: after a power cut the next run finds the same again, and one
	// sync would cost more than all the rest of a hook.
	if err := replace(path, data); err != nil {
		return &SpoolError{"write", path, err}
	}
	return nil
}

// file is the name of a notice's file.
func (n Notice) file() string {
	if n.Key == "" {
		return fmt.Sprintf("e-%020d-%d.json", n.Time.UnixNano(), os.Getpid())
	}
	h := fnv.New64a()
	h.Write([]byte(n.Key + "\x00" + n.From))
	return fmt.Sprintf("c-%016x.json", h.Sum64())
}

// replace writes a file as a whole. The temporary one has a dot before its name.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// save is replace, synced.
func save(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	if err := renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return &SpoolError{"write", path, err}
	}
	return nil
}

// load reads a file that save wrote. One that is not there leaves v alone; one
// that makes no sense is an error.
func load(path string, v any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &SpoolError{"read", path, err}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return &SpoolError{"read", path, err}
	}
	return nil
}

// names are the files in a folder in the order of their names, without
// temporary ones.
func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &SpoolError{"read", dir, err}
	}
	var found []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			found = append(found, e.Name())
		}
	}
	slices.Sort(found)
	return found, nil
}

// maxEvents bounds the notices that wait while no sender runs.
const maxEvents = 200

// take moves the new notices where no program replaces them any more, and
// returns them, oldest first, with their files. What a sender that was killed
// has left there comes along.
func (s *Spool) take() ([]Notice, []string, error) {
	from, to := filepath.Join(s.path, newFolder), filepath.Join(s.path, curFolder)
	fresh, err := names(from)
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return nil, nil, &SpoolError{"make", to, err}
	}
	for _, name := range fresh {
		if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, &SpoolError{"move", filepath.Join(from, name), err}
		}
	}
	taken, err := names(to)
	if err != nil {
		return nil, nil, err
	}
	var notices []Notice
	var files []string
	for i, name := range taken {
		path := filepath.Join(to, name)
		files = append(files, path)
		var n Notice
		if err := load(path, &n); err != nil || strings.HasPrefix(name, "e-") && len(taken)-i > maxEvents {
			continue // cut off by a power cut, or one of too many
		}
		notices = append(notices, n)
	}
	slices.SortStableFunc(notices, func(a, b Notice) int { return a.Time.Compare(b.Time) })
	return notices, files, nil
}
