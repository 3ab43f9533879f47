package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// stage is a receive that is under way: its folder has the head (what is
// received where), a log of what has arrived, line by line, and the chunks.
// Whoever receives holds a lock on the head, so a stage that nobody locks was
// left by a process that died.
type stage struct {
	files   Files
	dir     string
	head    stageHead
	lock    io.Closer
	entries []*entry // files announced; the last may be incomplete
	keeps   [][][2]int
	removed [][]byte
	object  uint64
	offset  uint64
	bytes   uint64
}

// stageHead is what does not change during a receive.
type stageHead struct {
	Begin     beginRecord
	Resumable bool
	NewFS     bool
}

// logLine is one line of a stage's log.
type logLine struct {
	Remove []byte      `json:"r,omitempty"`
	File   *fileRecord `json:"f,omitempty"`
	Chunk  string      `json:"c,omitempty"`
	Place  int         `json:"i,omitempty"`
	Bytes  uint64      `json:"b"`
}

func (s *store) newStage(dir string, head stageHead) (*stage, error) {
	data, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	if err := s.m.Files.Replace(stageHeadFile(dir), data); err != nil {
		return nil, err
	}
	st := &stage{files: s.m.Files, dir: dir, head: head}
	return st, st.open()
}

func stageHeadFile(dir string) string { return filepath.Join(dir, "head") }

func (st *stage) logFile() string { return filepath.Join(st.dir, "log") }

// open locks the stage for this process.
func (st *stage) open() error {
	lock, err := st.files.Lock(stageHeadFile(st.dir), LockMode{Exclusive: true, Try: true})
	if errors.Is(err, ErrLocked) {
		return syscall.EBUSY
	}
	st.lock = lock
	return err
}

func (st *stage) close() {
	if st.lock != nil {
		st.lock.Close()
	}
}

func (st *stage) chunks(key []byte) chunkStore {
	return chunkStore{files: st.files, dir: filepath.Join(st.dir, "chunks"), key: key}
}

func (s *store) readStageHead(dir string) (*stage, error) {
	data, err := s.m.Files.Read(stageHeadFile(dir))
	if err != nil {
		return nil, err
	}
	st := &stage{files: s.m.Files, dir: dir}
	if err := json.Unmarshal(data, &st.head); err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	return st, nil
}

// readStage reads a stage with its log; one that is gone has nothing in it.
func (s *store) readStage(dir string) (*stage, error) {
	st, err := s.readStageHead(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &stage{files: s.m.Files, dir: dir}, nil
	}
	if err != nil {
		return nil, err
	}
	return st, st.readLog()
}

// readLog replays the log. A line cut by a kill is taken off.
func (st *stage) readLog() error {
	data, err := st.files.Read(st.logFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r := bytes.NewBuffer(data)
	good := int64(0)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var l logLine
		if json.Unmarshal(line, &l) != nil {
			break
		}
		if err := st.apply(l); err != nil {
			return err
		}
		good += int64(len(line))
	}
	if st.lock != nil {
		return st.files.Truncate(st.logFile(), good)
	}
	return nil
}

// note applies a line and writes it to the log.
func (st *stage) note(l logLine) error {
	l.Bytes = st.bytes
	if err := st.apply(l); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(l); err != nil {
		return err
	}
	return st.files.Append(st.logFile(), b.Bytes())
}

func (st *stage) apply(l logLine) error {
	st.bytes = l.Bytes
	switch {
	case l.Remove != nil:
		st.removed = append(st.removed, l.Remove)
	case l.File != nil:
		f := l.File
		if n := len(st.entries); n > 0 && st.object == f.Object && string(st.entries[n-1].Path) == string(f.Entry.Path) {
			return nil // the file that was cut goes on
		}
		e := *f.Entry
		e.Chunks = make([]string, f.Chunks)
		for _, h := range f.Holes {
			for i := h[0]; i < h[1] && i < len(e.Chunks); i++ {
				e.Chunks[i] = hole
			}
		}
		st.entries = append(st.entries, &e)
		st.keeps = append(st.keeps, f.Keep)
		st.object, st.offset = f.Object, 0
	case l.Chunk != "":
		n := len(st.entries)
		if n == 0 || l.Place >= len(st.entries[n-1].Chunks) {
			return errChecksum
		}
		st.entries[n-1].Chunks[l.Place] = l.Chunk
		st.offset = uint64(l.Place+1) * chunkSize
	}
	return nil
}

// finish puts the received state together with the base and returns it; the
// chunks move to the family's folder.
func (st *stage) finish(base manifest, family chunkStore) (manifest, uint64, error) {
	t := base.byPath()
	for _, path := range st.removed {
		delete(t, string(path))
	}
	for i, e := range st.entries {
		old := base.byPathOf(e.Path)
		for _, k := range st.keeps[i] {
			for j := k[0]; j < k[1]; j++ {
				if old == nil || j >= len(old.Chunks) || j >= len(e.Chunks) {
					return nil, 0, errChecksum
				}
				e.Chunks[j] = old.Chunks[j]
			}
		}
		if slices.Contains(e.Chunks, "") {
			return nil, 0, errTruncated
		}
		t[string(e.Path)] = e
	}
	m := make(manifest, 0, len(t))
	for _, e := range t {
		m = append(m, e)
	}
	slices.SortFunc(m, func(a, b *entry) int { return strings.Compare(string(a.Path), string(b.Path)) })
	added, err := st.moveChunks(family)
	return m, added, err
}

func (m manifest) byPathOf(path []byte) *entry {
	i, ok := slices.BinarySearchFunc(m, string(path), func(e *entry, p string) int { return strings.Compare(string(e.Path), p) })
	if !ok {
		return nil
	}
	return m[i]
}

func (st *stage) moveChunks(family chunkStore) (added uint64, err error) {
	files, err := st.files.List(filepath.Join(st.dir, "chunks"))
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if strings.HasSuffix(f.Path, temporary) {
			continue
		}
		to := family.path(filepath.Base(f.Path))
		if _, err := st.files.Size(to); err != nil {
			added += uint64(f.Size)
		}
		if err := st.files.Move(f.Path, to); err != nil {
			return 0, err
		}
	}
	return added, nil
}

// stagedOf is what a partial receive of a dataset takes.
func (s *store) stagedOf(d *Dataset) uint64 {
	n := uint64(0)
	files, _ := s.m.Files.List(s.data(d.pool, "recv", d.Stage, "chunks")) // one that goes away takes nothing
	for _, f := range files {
		n += uint64(f.Size)
	}
	return n
}

// receiving reports whether a live process is receiving into the dataset.
func (s *store) receiving(d *Dataset) bool {
	if d.Stage == "" {
		return false
	}
	lock, err := s.m.Files.Lock(stageHeadFile(s.data(d.pool, "recv", d.Stage)), LockMode{Try: true})
	if err == nil {
		lock.Close()
	}
	return errors.Is(err, ErrLocked)
}

// recover finishes or undoes what processes that were killed left behind: a
// receive that cannot be resumed, a live folder behind its saved state.
func (s *store) recover() error {
	for _, p := range s.pools {
		families := map[string]bool{}
		for _, d := range p.sorted() {
			if d.Stage != "" && !s.receiving(d) {
				st, err := s.readStageHead(s.data(p, "recv", d.Stage))
				if err == nil && st.head.Resumable {
					continue
				}
				if err := s.abandon(d); err != nil {
					return err
				}
				families[d.Family] = true
				continue
			}
			if !d.Live {
				if err := s.restore(d); err != nil {
					return err
				}
			}
		}
		if err := s.sweep(p, families); err != nil {
			return err
		}
	}
	if len(s.dirty) > 0 || len(s.after) > 0 {
		return s.commit()
	}
	return nil
}

// hideDead forgets, for a reader, what recover would undo for a writer.
func (s *store) hideDead() {
	for _, p := range s.pools {
		for name, d := range p.Datasets {
			if d.Stage == "" || s.receiving(d) {
				continue
			}
			if st, err := s.readStageHead(s.data(p, "recv", d.Stage)); err == nil && st.head.Resumable {
				continue
			}
			d.Stage = ""
			if d.Partial {
				delete(p.Datasets, name)
			}
		}
	}
}

// abandon drops a partial receive, and the dataset if it was its first.
func (s *store) abandon(d *Dataset) error {
	dir := s.data(d.pool, "recv", d.Stage)
	s.touch(d.pool)
	if d.Partial {
		return s.forget(d)
	}
	d.Stage = ""
	s.later(func() error { return s.m.Files.Remove(dir) })
	return nil
}
