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

// The folder in the state folder, and its folders.
const (
	folder    = "notify"
	newFolder = "new"    // notices from programs
	curFolder = "taken"  // notices that the sender is processing
	outFolder = "outbox" // messages that a channel has not accepted yet
)

// Spool is the queue of notices. A nil Spool accepts nothing.
type Spool struct {
	path string
	cfg  config.Notify
}

// Open returns the spool in a state folder, or nil without a file of channels.
func Open(cfg *config.Config, dir *state.Dir) *Spool {
	if cfg.Notify.URLsFile == "" {
		return nil
	}
	return &Spool{path: filepath.Join(dir.Path(), folder), cfg: cfg.Notify}
}

// SpoolError is a file of the spool that could not be read or written.
type SpoolError struct {
	Op, Path string
	Err      error
}

func (e *SpoolError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }
func (e *SpoolError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *SpoolError) Hint() string {
	return "check that this user may write to the folder, and that its disk is not full"
}

// Settle returns the time that a problem which may pass on its own must last.
func (s *Spool) Settle() time.Duration {
	if s == nil {
		return 0
	}
	return s.cfg.Settle
}

// Put writes a notice for the sender. Of a condition only the newest notice of each
// reporter stays, so that the folder stays small without a sender.
func (s *Spool) Put(n Notice) error {
	if s == nil {
		return nil
	}
	dir := filepath.Join(s.path, newFolder)
	// 0700: notices may help an attacker.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &SpoolError{"make", dir, err}
	}
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode a notice: %w", err)
	}
	path := filepath.Join(dir, n.file())
	// Not synced: after a power loss the next run finds the same again, and a sync would
	// cost more than the rest of a hook.
	if err := replace(path, data); err != nil {
		return &SpoolError{"write", path, err}
	}
	return nil
}

// file returns the name of a notice's file.
func (n Notice) file() string {
	if n.Key == "" {
		return fmt.Sprintf("e-%020d-%d.json", n.Time.UnixNano(), os.Getpid())
	}
	h := fnv.New64a()
	h.Write([]byte(n.Key + "\x00" + n.From))
	return fmt.Sprintf("c-%016x.json", h.Sum64())
}

// replace writes a file atomically. The name of the temporary file begins with a dot.
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

// save writes a value as JSON, atomically and synced.
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

// load reads a file that save wrote. A missing file leaves v unchanged; an invalid one
// is an error.
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

// names returns the files in a folder, sorted, without temporary ones.
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

// maxEvents bounds the queued events while no sender runs.
const maxEvents = 200

// take moves the new notices to a folder in which no program replaces them, and returns
// them, oldest first, with their files. That includes notices left by a killed sender.
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
			continue // incomplete after a power loss, or one of too many
		}
		notices = append(notices, n)
	}
	slices.SortStableFunc(notices, func(a, b Notice) int { return a.Time.Compare(b.Time) })
	return notices, files, nil
}
