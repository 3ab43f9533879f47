package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// chunkSize is the unit in which files are kept and sent.
const chunkSize = 256 << 10

// hole is the name of a chunk of zeros, which is not kept.
const hole = "0"

// entry is one file, folder, link or device of a saved state. The root folder
// has the empty path; the data of a volume is the file "data".
type entry struct {
	Path   []byte   `json:"p"` // bytes, for names need not be UTF-8
	Mode   uint32   `json:"m"` // st_mode
	UID    uint32   `json:"u,omitempty"`
	GID    uint32   `json:"g,omitempty"`
	MTime  int64    `json:"t"` // nanoseconds
	Size   int64    `json:"s,omitempty"`
	Target []byte   `json:"l,omitempty"`
	Rdev   uint64   `json:"d,omitempty"`
	Chunks []string `json:"c,omitempty"`

	// state of the live file when it was saved, in an index only
	Ino   uint64 `json:"i,omitempty"`
	CTime int64  `json:"x,omitempty"`
	Held  int64  `json:"-"` // bytes allocated
}

func (e *entry) regular() bool { return e.Mode&syscall.S_IFMT == syscall.S_IFREG }
func (e *entry) folder() bool  { return e.Mode&syscall.S_IFMT == syscall.S_IFDIR }

// sameMeta compares everything but the contents and the live state.
func (e *entry) sameMeta(f *entry) bool {
	return e.Mode == f.Mode && e.UID == f.UID && e.GID == f.GID && e.MTime == f.MTime &&
		e.Size == f.Size && e.Rdev == f.Rdev && string(e.Target) == string(f.Target)
}

func (e *entry) same(f *entry) bool { return e.sameMeta(f) && slices.Equal(e.Chunks, f.Chunks) }

// unchanged tells by the live file's state that its contents are as saved.
func (e *entry) unchanged(live *entry) bool {
	return e.sameMeta(live) && e.Ino == live.Ino && e.CTime == live.CTime && e.CTime != 0
}

// manifest is a saved state: its entries in order of their paths.
type manifest []*entry

func (m manifest) byPath() map[string]*entry {
	t := make(map[string]*entry, len(m))
	for _, e := range m {
		t[string(e.Path)] = e
	}
	return t
}

// size is what the state refers to, in bytes.
func (m manifest) size() uint64 {
	n := uint64(0)
	for _, e := range m {
		n += 512
		for i, c := range e.Chunks {
			if c != hole {
				n += uint64(min(chunkSize, e.Size-int64(i)*chunkSize))
			}
		}
	}
	return n
}

// fileHead is the first line of a manifest or index.
type fileHead struct {
	Base string `json:"base"` // of an index: the manifest it describes
}

func writeManifest(path string, m manifest, base string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + "." + newID() + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 128<<10)
	enc := json.NewEncoder(w)
	err = enc.Encode(fileHead{base})
	for _, e := range m {
		if err == nil {
			err = enc.Encode(e)
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func readManifestFile(path string) (m manifest, base string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	dec := json.NewDecoder(bufio.NewReaderSize(f, 128<<10))
	var head fileHead
	if err := dec.Decode(&head); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	for {
		e := &entry{}
		if err := dec.Decode(e); errors.Is(err, io.EOF) {
			return m, head.Base, nil
		} else if err != nil {
			return nil, "", fmt.Errorf("read %s: %w", path, err)
		}
		m = append(m, e)
	}
}

// manifest reads a saved state; the empty id is a state with nothing in it.
func (s *store) manifest(p *Pool, id string) (manifest, error) {
	if id == "" {
		return nil, nil
	}
	m, _, err := readManifestFile(s.data(p, "man", id))
	return m, err
}

// saveManifest writes a state under a new id.
func (s *store) saveManifest(p *Pool, m manifest) (string, error) {
	id := newID()
	bare := make(manifest, len(m))
	for i, e := range m {
		c := *e
		c.Ino, c.CTime = 0, 0
		bare[i] = &c
	}
	return id, writeManifest(s.data(p, "man", id), bare, "")
}

// scan reads the state of a live folder, without contents.
func scan(dir string) (manifest, error) {
	var m manifest
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && path != dir {
				return nil // it went away while we looked
			}
			return err
		}
		e, err := statEntry(dir, path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		m = append(m, e)
		return nil
	})
	slices.SortFunc(m, func(a, b *entry) int { return strings.Compare(string(a.Path), string(b.Path)) })
	return m, err
}

func statEntry(dir, path string) (*entry, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
	e := &entry{Path: []byte(rel), Mode: st.Mode, UID: st.Uid, GID: st.Gid,
		MTime: st.Mtim.Nano(), Ino: st.Ino, CTime: st.Ctim.Nano()}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		e.Size, e.Held = st.Size, min(st.Size, st.Blocks*512)
	case syscall.S_IFLNK:
		t, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		e.Target = []byte(t)
	case syscall.S_IFCHR, syscall.S_IFBLK:
		e.Rdev = uint64(st.Rdev)
	}
	return e, nil
}

// settle is how long after a change a file's time stamp can still stand for
// two different contents: more than one tick of the kernel's clock.
const settle = 12 * time.Millisecond

// quiesced scans until no file was changed so recently that a further change
// could hide behind the same time stamp.
func quiesced(dir string, known map[string]*entry) (manifest, error) {
	for try := 0; ; try++ {
		m, err := scan(dir)
		if err != nil {
			return nil, err
		}
		limit := time.Now().Add(-settle).UnixNano()
		recent := false
		for _, e := range m {
			if e.CTime > limit {
				if k := known[string(e.Path)]; k != nil && k.unchanged(e) {
					continue
				}
				recent = true
				if try > 0 {
					e.CTime = 0 // somebody keeps writing: never take it for unchanged
				}
			}
		}
		if !recent || try > 0 {
			return m, nil
		}
		time.Sleep(settle)
	}
}
