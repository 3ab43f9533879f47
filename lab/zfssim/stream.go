package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The stream: a magic text, then records of a type, a length, a payload and a
// check sum. A stream of one snapshot is B … E; with properties or several
// snapshots it is wrapped in P … Z. Between B and E come removals (R), files
// (F) and their contents (D) in an order that depends on the two snapshots
// only, so that a sender can start again at a given file and offset.
const streamMagic = "ZFSSIM01"

const (
	recPackage = 'P'
	recBegin   = 'B'
	recRemove  = 'R'
	recFile    = 'F'
	recData    = 'D'
	recEnd     = 'E'
	recClose   = 'Z'
)

// maxRecord bounds what a receiver keeps in memory: the list of a huge file's
// chunks is the largest record.
const maxRecord = 64 << 20

// beginRecord opens the stream of one snapshot.
type beginRecord struct {
	ToName    string
	ToGUID    uint64
	FromGUID  uint64 `json:",omitempty"`
	Clone     bool   `json:",omitempty"`
	Creation  int64
	Volume    bool              `json:",omitempty"`
	VolSize   string            `json:",omitempty"`
	VolBlock  string            `json:",omitempty"`
	Refer     uint64            `json:",omitempty"`
	Raw       bool              `json:",omitempty"`
	Compress  bool              `json:",omitempty"`
	Large     bool              `json:",omitempty"`
	Embed     bool              `json:",omitempty"`
	Resuming  bool              `json:",omitempty"`
	Object    uint64            `json:",omitempty"` // where a resumed stream starts
	Offset    uint64            `json:",omitempty"`
	Crypt     *Crypt            `json:",omitempty"`
	Props     map[string]string `json:",omitempty"`
	SnapProps map[string]string `json:",omitempty"`
	HasProps  bool              `json:",omitempty"`
}

// packageRecord opens a stream with properties or of several snapshots.
type packageRecord struct {
	ToName string
	Many   bool `json:",omitempty"`
}

// fileRecord announces a file. Its chunks are numbered by place; Keep lists
// the ranges that are as in the base.
type fileRecord struct {
	Object uint64
	Offset uint64 `json:",omitempty"` // of a resumed file: what the receiver has
	Entry  *entry
	Chunks int      `json:",omitempty"`
	Keep   [][2]int `json:",omitempty"` // first, behind the last
	Holes  [][2]int `json:",omitempty"`
}

var (
	errTruncated = errors.New("incomplete stream")
	errChecksum  = errors.New("checksum mismatch")
	errMagic     = errors.New("bad magic number")
	errEmpty     = errors.New("failed to read from stream")
)

// recordWriter writes records and counts what it wrote.
type recordWriter struct {
	w *bufio.Writer
	n int64
}

func (w *recordWriter) write(kind byte, payload []byte) error {
	var head [5]byte
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(payload)))
	var tail [4]byte
	binary.BigEndian.PutUint32(tail[:], crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)))
	for _, part := range [][]byte{head[:], payload, tail[:]} {
		n, err := w.w.Write(part)
		w.n += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *recordWriter) writeJSON(kind byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.write(kind, data)
}

// recordReader reads records.
type recordReader struct {
	r   *bufio.Reader
	n   int64
	buf []byte
}

func newRecordReader(r io.Reader) *recordReader {
	return &recordReader{r: bufio.NewReaderSize(r, 256<<10)}
}

// start checks the magic text.
func (r *recordReader) start() error {
	magic := make([]byte, len(streamMagic))
	n, err := io.ReadFull(r.r, magic)
	r.n += int64(n)
	if err != nil {
		return errEmpty
	}
	if string(magic) != streamMagic {
		return errMagic
	}
	return nil
}

// next returns the next record; its payload is valid until the next call.
func (r *recordReader) next() (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return 0, nil, errTruncated
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxRecord {
		return 0, nil, errChecksum
	}
	if cap(r.buf) < int(size)+4 {
		r.buf = make([]byte, size+4)
	}
	b := r.buf[:size+4]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return 0, nil, errTruncated
	}
	payload = b[:size]
	if binary.BigEndian.Uint32(b[size:]) != crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)) {
		return 0, nil, errChecksum
	}
	r.n += int64(len(head)) + int64(size) + 4
	return head[0], payload, nil
}

// dataRecord packs a chunk: its place, its name (raw only) and its bytes.
func dataRecord(place int, id string, data []byte) []byte {
	b := make([]byte, 0, 5+len(id)+len(data))
	b = binary.BigEndian.AppendUint32(b, uint32(place))
	b = append(b, byte(len(id)))
	b = append(b, id...)
	return append(b, data...)
}

func parseDataRecord(b []byte) (place int, id string, data []byte, err error) {
	if len(b) < 5 || len(b) < 5+int(b[4]) {
		return 0, "", nil, fmt.Errorf("short data record")
	}
	return int(binary.BigEndian.Uint32(b)), string(b[5 : 5+int(b[4])]), b[5+int(b[4]):], nil
}
