package machine

import (
	"slices"
	"strings"
	"syscall"
)

// ChunkSize is the unit in which files are kept and sent.
const ChunkSize = 256 << 10

// Hole is the name of a chunk of zeros, which is not kept.
const Hole = "0"

// Entry is one file, folder, link or device of a saved state. The root folder
// has the empty path; the data of a volume is the file "data".
type Entry struct {
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

func (e *Entry) Regular() bool { return e.Mode&syscall.S_IFMT == syscall.S_IFREG }

func (e *Entry) Folder() bool { return e.Mode&syscall.S_IFMT == syscall.S_IFDIR }

// sameMeta compares everything but the contents and the live state.
func (e *Entry) sameMeta(f *Entry) bool {
	return e.Mode == f.Mode && e.UID == f.UID && e.GID == f.GID && e.MTime == f.MTime &&
		e.Size == f.Size && e.Rdev == f.Rdev && string(e.Target) == string(f.Target)
}

func (e *Entry) Same(f *Entry) bool { return e.sameMeta(f) && slices.Equal(e.Chunks, f.Chunks) }

// Unchanged tells by the live file's state that its contents are as saved.
func (e *Entry) Unchanged(live *Entry) bool {
	return e.sameMeta(live) && e.Ino == live.Ino && e.CTime == live.CTime && e.CTime != 0
}

// Manifest is a saved state: its entries in order of their paths.
type Manifest []*Entry

func (m Manifest) ByPath() map[string]*Entry {
	t := make(map[string]*Entry, len(m))
	for _, e := range m {
		t[string(e.Path)] = e
	}
	return t
}

// Size is what the state refers to, in bytes.
func (m Manifest) Size() uint64 {
	n := uint64(0)
	for _, e := range m {
		n += 512
		for i, c := range e.Chunks {
			if c != Hole {
				n += uint64(min(ChunkSize, e.Size-int64(i)*ChunkSize))
			}
		}
	}
	return n
}

func ChunkLen(e *Entry, i int) int { return int(min(ChunkSize, e.Size-int64(i)*ChunkSize)) }

func (m Manifest) ByPathOf(path []byte) *Entry {
	i, ok := slices.BinarySearchFunc(m, string(path), func(e *Entry, p string) int { return strings.Compare(string(e.Path), p) })
	if !ok {
		return nil
	}
	return m[i]
}
