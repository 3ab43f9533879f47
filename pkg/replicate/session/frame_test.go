package session

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"
)

// writes keeps each write by itself.
type writes struct{ all [][]byte }

func (w *writes) Write(p []byte) (int, error) {
	w.all = append(w.all, slices.Clone(p))
	return len(p), nil
}

func (w *writes) Close() error { return nil }

func header(kind byte, length int) []byte {
	h := make([]byte, frameHeader)
	h[1] = kind
	binary.BigEndian.PutUint32(h[8:], uint32(length))
	return h
}

func TestFrameWriterKeepsBytesAndOrder(t *testing.T) {
	var to writes
	w := &frameWriter{WriteCloser: &to}
	var want []byte
	for _, p := range [][]byte{
		header(1, 4096),               // a window update has no body
		header(0, 5), []byte("hello"), // data
		header(0, frameHeader), header(0, 1<<20), // a body that looks like a header
		header(0, 0),                              // data without a body
		header(2, 7), header(0, 3), []byte("end"), // a ping, data
	} {
		want = append(want, p...)
		if n, err := w.Write(p); n != len(p) || err != nil {
			t.Fatalf("write of %d bytes: %d, %v", len(p), n, err)
		}
	}
	if got := bytes.Join(to.all, nil); !bytes.Equal(got, want) {
		t.Errorf("wrote %x, want %x", got, want)
	}
}

func TestFrameWriterTellsOfShortWrites(t *testing.T) {
	reader, writer := io.Pipe()
	reader.Close()
	w := &frameWriter{WriteCloser: writer}
	if _, err := w.Write(header(0, 3)); err != nil {
		t.Fatalf("a header is kept back, but: %v", err)
	}
	if n, err := w.Write([]byte("abc")); err == nil || n != 0 {
		t.Errorf("write to a closed pipe: %d, %v; want 0 and an error", n, err)
	}
}
