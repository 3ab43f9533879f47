package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
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

func (s *store) writeManifest(path string, m manifest, base string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	err := enc.Encode(fileHead{base})
	for _, e := range m {
		if err == nil {
			err = enc.Encode(e)
		}
	}
	if err == nil {
		err = s.m.Files.Replace(path, b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (s *store) readManifestFile(path string) (m manifest, base string, err error) {
	data, err := s.m.Files.Read(path)
	if err != nil {
		return nil, "", err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
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
	m, _, err := s.readManifestFile(s.data(p, "man", id))
	return m, err
}

// saveManifest writes a state under a new id.
func (s *store) saveManifest(p *Pool, m manifest) (string, error) {
	id := s.newID()
	bare := make(manifest, len(m))
	for i, e := range m {
		c := *e
		c.Ino, c.CTime = 0, 0
		bare[i] = &c
	}
	return id, s.writeManifest(s.data(p, "man", id), bare, "")
}
