package stream

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// The stream: a magic text, then records of a type, a length, a payload and a
// check sum. A stream of one snapshot is B … E; with properties or several
// snapshots it is wrapped in P … Z. Between B and E come removals (R), files
// (F) and their contents (D) in an order that depends on the two snapshots
// only, so that a sender can start again at a given file and offset.
const StreamMagic = "ZFSSIM01"

const (
	RecPackage = 'P'
	RecBegin   = 'B'
	RecRemove  = 'R'
	RecFile    = 'F'
	RecData    = 'D'
	RecEnd     = 'E'
	RecClose   = 'Z'
)

// maxRecord bounds what a receiver keeps in memory: the list of a huge file's
// chunks is the largest record.
const maxRecord = 64 << 20

// BeginRecord opens the stream of one snapshot.
type BeginRecord struct {
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
	Crypt     *model.Crypt      `json:",omitempty"`
	Props     map[string]string `json:",omitempty"`
	SnapProps map[string]string `json:",omitempty"`
	HasProps  bool              `json:",omitempty"`
}

// PackageRecord opens a stream with properties or of several snapshots.
type PackageRecord struct {
	ToName string
	Many   bool `json:",omitempty"`
}

// FileRecord announces a file. Its chunks are numbered by place; Keep lists
// the ranges that are as in the base.
type FileRecord struct {
	Object uint64
	Offset uint64 `json:",omitempty"` // of a resumed file: what the receiver has
	Entry  *machine.Entry
	Chunks int      `json:",omitempty"`
	Keep   [][2]int `json:",omitempty"` // first, behind the last
	Holes  [][2]int `json:",omitempty"`
}

var (
	ErrTruncated = errors.New("incomplete stream")
	ErrChecksum  = errors.New("checksum mismatch")
	ErrMagic     = errors.New("bad magic number")
	errEmpty     = errors.New("failed to read from stream")
)

// RecordWriter writes records and counts what it wrote.
type RecordWriter struct {
	W *bufio.Writer
	n int64
}

func (w *RecordWriter) Write(kind byte, payload []byte) error {
	var head [5]byte
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(payload)))
	var tail [4]byte
	binary.BigEndian.PutUint32(tail[:], crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)))
	for _, part := range [][]byte{head[:], payload, tail[:]} {
		n, err := w.W.Write(part)
		w.n += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *RecordWriter) WriteJSON(kind byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.Write(kind, data)
}

// RecordReader reads records.
type RecordReader struct {
	R   *bufio.Reader
	N   int64
	buf []byte
}

func NewRecordReader(r io.Reader) *RecordReader {
	return &RecordReader{R: bufio.NewReaderSize(r, 256<<10)}
}

// Start checks the magic text.
func (r *RecordReader) Start() error {
	magic := make([]byte, len(StreamMagic))
	n, err := io.ReadFull(r.R, magic)
	r.N += int64(n)
	if err != nil {
		return errEmpty
	}
	if string(magic) != StreamMagic {
		return ErrMagic
	}
	return nil
}

// Next returns the next record; its payload is valid until the next call.
func (r *RecordReader) Next() (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r.R, head[:]); err != nil {
		return 0, nil, ErrTruncated
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxRecord {
		return 0, nil, ErrChecksum
	}
	if cap(r.buf) < int(size)+4 {
		r.buf = make([]byte, size+4)
	}
	b := r.buf[:size+4]
	if _, err := io.ReadFull(r.R, b); err != nil {
		return 0, nil, ErrTruncated
	}
	payload = b[:size]
	if binary.BigEndian.Uint32(b[size:]) != crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)) {
		return 0, nil, ErrChecksum
	}
	r.N += int64(len(head)) + int64(size) + 4
	return head[0], payload, nil
}

// DataRecord packs a chunk: its place, its name (raw only) and its bytes.
func DataRecord(place int, id string, data []byte) []byte {
	b := make([]byte, 0, 5+len(id)+len(data))
	b = binary.BigEndian.AppendUint32(b, uint32(place))
	b = append(b, byte(len(id)))
	b = append(b, id...)
	return append(b, data...)
}

func ParseDataRecord(b []byte) (place int, id string, data []byte, err error) {
	if len(b) < 5 || len(b) < 5+int(b[4]) {
		return 0, "", nil, fmt.Errorf("short data record")
	}
	return int(binary.BigEndian.Uint32(b)), string(b[5 : 5+int(b[4])]), b[5+int(b[4]):], nil
}
