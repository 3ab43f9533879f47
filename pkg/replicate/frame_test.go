package replicate

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
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

func TestBulkReaderFillsLargeBuffers(t *testing.T) {
	data := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data)
	for name, from := range map[string]io.Reader{
		"whole": bytes.NewReader(data),
		"half":  iotest.HalfReader(bytes.NewReader(data)),
		"early": iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(data))),
	} {
		r := &BulkReader{Reader: from}
		var got []byte
		for {
			p := make([]byte, 100_000)
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if n < len(p) && len(got) < len(data) {
				t.Errorf("%s: %d of %d bytes, and more to come", name, n, len(p))
			}
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes came, not those that were sent", name, len(got))
		}
	}
}

// A small read is a header, or a call: it must not wait for more.
func TestBulkReaderDoesNotWaitForSmallReads(t *testing.T) {
	reader, writer := io.Pipe()
	go func() { _, _ = writer.Write([]byte("call")) }()
	r := &BulkReader{Reader: reader, rate: 1}
	p := make([]byte, 4096)
	if n, err := r.Read(p); n != 4 || err != nil {
		t.Errorf("read: %d, %v; want 4", n, err)
	}
}

// pieces are what a slow link brings, one a tick.
type pieces struct {
	tick  time.Duration
	began time.Time
	taken int
	reads int
}

func (s *pieces) Read(p []byte) (int, error) {
	const size = 8 << 10
	s.reads++
	for {
		if there := int(time.Since(s.began)/s.tick)*size - s.taken; there > 0 {
			n := min(there, len(p))
			s.taken += n
			return n, nil
		}
		time.Sleep(s.tick - time.Since(s.began)%s.tick)
	}
}

// The sleep saves reads, costs little time, and follows a link that becomes
// faster.
func TestBulkReaderFollowsTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const frame = 256 << 10
		from := &pieces{tick: time.Millisecond, began: time.Now()}
		r := &BulkReader{Reader: from}
		read := func(frames int) (reads int, took time.Duration) {
			began, before := time.Now(), from.reads
			for range frames {
				if n, err := r.Read(make([]byte, frame)); n != frame || err != nil {
					t.Fatalf("read: %d, %v", n, err)
				}
			}
			return from.reads - before, time.Since(began)
		}
		read(1) // learns
		reads, took := read(20)
		if reads > 20*10 {
			t.Errorf("20 frames of 32 pieces took %d reads", reads)
		}
		if ideal := 20 * 32 * time.Millisecond; took > ideal+25*time.Millisecond {
			t.Errorf("20 frames took %s, %s is possible", took, ideal)
		}
		from.tick, from.began, from.taken = 10*time.Microsecond, time.Now(), 0
		read(20) // learns
		if _, took := read(100); took > 100*2*time.Millisecond {
			t.Errorf("100 frames at a hundred times the speed took %s", took)
		}
	})
}
