package store

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

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/stream"
)

// Stage is a receive in progress. Its folder holds the head (the source and the
// target), a log of the received records, and the chunks. The receiver holds a
// lock on the head, so a stage without a lock belongs to a dead process.
type Stage struct {
	files   machine.Files
	dir     string
	Head    StageHead
	lock    io.Closer
	Entries []*machine.Entry // files announced; the last may be incomplete
	keeps   [][][2]int
	removed [][]byte
	Object  uint64
	Offset  uint64
	Bytes   uint64
}

// StageHead is what does not change during a receive.
type StageHead struct {
	Begin     stream.BeginRecord
	Resumable bool
	NewFS     bool
}

// LogLine is one line of a stage's log.
type LogLine struct {
	Remove []byte             `json:"r,omitempty"`
	File   *stream.FileRecord `json:"f,omitempty"`
	Chunk  string             `json:"c,omitempty"`
	Place  int                `json:"i,omitempty"`
	Bytes  uint64             `json:"b"`
}

func (s *Store) NewStage(dir string, head StageHead) (*Stage, error) {
	data, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	if err := s.M.Files.Replace(stageHeadFile(dir), data); err != nil {
		return nil, err
	}
	st := &Stage{files: s.M.Files, dir: dir, Head: head}
	return st, st.Open()
}

func stageHeadFile(dir string) string { return filepath.Join(dir, "head") }

func (st *Stage) logFile() string { return filepath.Join(st.dir, "log") }

// Open locks the stage for this process.
func (st *Stage) Open() error {
	lock, err := st.files.Lock(stageHeadFile(st.dir), machine.LockMode{Exclusive: true, Try: true})
	if errors.Is(err, machine.ErrLocked) {
		return syscall.EBUSY
	}
	st.lock = lock
	return err
}

func (st *Stage) Close() {
	if st.lock != nil {
		st.lock.Close()
	}
}

func (st *Stage) Chunks(key []byte) ChunkStore {
	return ChunkStore{files: st.files, dir: filepath.Join(st.dir, "chunks"), key: key}
}

func (s *Store) ReadStageHead(dir string) (*Stage, error) {
	data, err := s.M.Files.Read(stageHeadFile(dir))
	if err != nil {
		return nil, err
	}
	st := &Stage{files: s.M.Files, dir: dir}
	if err := json.Unmarshal(data, &st.Head); err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	return st, nil
}

// readStage reads a stage with its log; one that is gone has nothing in it.
func (s *Store) readStage(dir string) (*Stage, error) {
	st, err := s.ReadStageHead(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &Stage{files: s.M.Files, dir: dir}, nil
	}
	if err != nil {
		return nil, err
	}
	return st, st.ReadLog()
}

// ReadLog replays the log. A line cut by a kill is taken off.
func (st *Stage) ReadLog() error {
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
		var l LogLine
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

// Note applies a line and writes it to the log.
func (st *Stage) Note(l LogLine) error {
	l.Bytes = st.Bytes
	if err := st.apply(l); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(l); err != nil {
		return err
	}
	return st.files.Append(st.logFile(), b.Bytes())
}

func (st *Stage) apply(l LogLine) error {
	st.Bytes = l.Bytes
	switch {
	case l.Remove != nil:
		st.removed = append(st.removed, l.Remove)
	case l.File != nil:
		f := l.File
		if n := len(st.Entries); n > 0 && st.Object == f.Object && string(st.Entries[n-1].Path) == string(f.Entry.Path) {
			return nil // the interrupted file continues
		}
		e := *f.Entry
		e.Chunks = make([]string, f.Chunks)
		for _, h := range f.Holes {
			for i := h[0]; i < h[1] && i < len(e.Chunks); i++ {
				e.Chunks[i] = machine.Hole
			}
		}
		st.Entries = append(st.Entries, &e)
		st.keeps = append(st.keeps, f.Keep)
		st.Object, st.Offset = f.Object, 0
	case l.Chunk != "":
		n := len(st.Entries)
		if n == 0 || l.Place >= len(st.Entries[n-1].Chunks) {
			return stream.ErrChecksum
		}
		st.Entries[n-1].Chunks[l.Place] = l.Chunk
		st.Offset = uint64(l.Place+1) * machine.ChunkSize
	}
	return nil
}

// Finish puts the received state together with the base and returns it; the
// chunks move to the family's folder.
func (st *Stage) Finish(base machine.Manifest, family ChunkStore) (machine.Manifest, uint64, error) {
	t := base.ByPath()
	for _, path := range st.removed {
		delete(t, string(path))
	}
	for i, e := range st.Entries {
		old := base.ByPathOf(e.Path)
		for _, k := range st.keeps[i] {
			for j := k[0]; j < k[1]; j++ {
				if old == nil || j >= len(old.Chunks) || j >= len(e.Chunks) {
					return nil, 0, stream.ErrChecksum
				}
				e.Chunks[j] = old.Chunks[j]
			}
		}
		if slices.Contains(e.Chunks, "") {
			return nil, 0, stream.ErrTruncated
		}
		t[string(e.Path)] = e
	}
	m := make(machine.Manifest, 0, len(t))
	for _, e := range t {
		m = append(m, e)
	}
	slices.SortFunc(m, func(a, b *machine.Entry) int { return strings.Compare(string(a.Path), string(b.Path)) })
	added, err := st.moveChunks(family)
	return m, added, err
}

func (st *Stage) moveChunks(family ChunkStore) (added uint64, err error) {
	files, err := st.files.List(filepath.Join(st.dir, "chunks"))
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if strings.HasSuffix(f.Path, machine.Temporary) {
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
func (s *Store) stagedOf(d *model.Dataset) uint64 {
	n := uint64(0)
	files, _ := s.M.Files.List(s.Data(d.Pool, "recv", d.Stage, "chunks")) // one that goes away takes nothing
	for _, f := range files {
		n += uint64(f.Size)
	}
	return n
}

// Receiving reports whether a live process is receiving into the dataset.
func (s *Store) Receiving(d *model.Dataset) bool {
	if d.Stage == "" {
		return false
	}
	lock, err := s.M.Files.Lock(stageHeadFile(s.Data(d.Pool, "recv", d.Stage)), machine.LockMode{Try: true})
	if err == nil {
		lock.Close()
	}
	return errors.Is(err, machine.ErrLocked)
}

// recover finishes or undoes what processes that were killed left behind: a
// receive that cannot be resumed, a live folder behind its saved state.
func (s *Store) recover() error {
	for _, p := range s.Pools {
		families := map[string]bool{}
		for _, d := range p.Sorted() {
			if d.Stage != "" && !s.Receiving(d) {
				st, err := s.ReadStageHead(s.Data(p, "recv", d.Stage))
				if err == nil && st.Head.Resumable {
					continue
				}
				if err := s.Abandon(d); err != nil {
					return err
				}
				families[d.Family] = true
				continue
			}
			if !d.Live {
				if err := s.Restore(d); err != nil {
					return err
				}
			}
		}
		if err := s.Sweep(p, families); err != nil {
			return err
		}
	}
	if len(s.Dirty) > 0 || len(s.After) > 0 {
		return s.Commit()
	}
	return nil
}

// hideDead forgets, for a reader, what recover would undo for a writer.
func (s *Store) hideDead() {
	for _, p := range s.Pools {
		for name, d := range p.Datasets {
			if d.Stage == "" || s.Receiving(d) {
				continue
			}
			if st, err := s.ReadStageHead(s.Data(p, "recv", d.Stage)); err == nil && st.Head.Resumable {
				continue
			}
			d.Stage = ""
			if d.Partial {
				delete(p.Datasets, name)
			}
		}
	}
}

// Abandon drops a partial receive, and the dataset if it was its first.
func (s *Store) Abandon(d *model.Dataset) error {
	dir := s.Data(d.Pool, "recv", d.Stage)
	s.Touch(d.Pool)
	if d.Partial {
		return s.Forget(d)
	}
	d.Stage = ""
	s.Later(func() error { return s.M.Files.Remove(dir) })
	return nil
}

// ResumeToken is the token of a dataset's partial receive; empty without one.
func (s *Store) ResumeToken(d *model.Dataset) string {
	if d.Stage == "" {
		return ""
	}
	st, err := s.ReadStageHead(s.Data(d.Pool, "recv", d.Stage))
	if err != nil || !st.Head.Resumable {
		return ""
	}
	if err := st.ReadLog(); err != nil {
		return ""
	}
	b := st.Head.Begin
	return stream.Token{FromGUID: b.FromGUID, Object: st.Object, Offset: st.Offset, Bytes: st.Bytes, ToGUID: b.ToGUID,
		ToName: b.ToName, Large: b.Large, Embed: b.Embed, Compress: b.Compress, Raw: b.Raw}.Encode()
}
