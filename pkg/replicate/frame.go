package replicate

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

// frameHeader is the size of a yamux header: version, type, flags (2 bytes),
// stream (4), length (4). Type 0 is data, which follows in a write of its own.
const frameHeader = 12

// frameWriter writes a data frame's header together with its data: by itself
// it would be a packet of its own on the way.
type frameWriter struct {
	io.WriteCloser
	header [frameHeader]byte
	held   bool
}

func (w *frameWriter) Write(p []byte) (int, error) {
	if !w.held && len(p) == frameHeader && p[1] == 0 && binary.BigEndian.Uint32(p[8:]) > 0 {
		copy(w.header[:], p)
		w.held = true
		return len(p), nil
	}
	if !w.held {
		return w.WriteCloser.Write(p)
	}
	w.held = false
	frame := net.Buffers{w.header[:], p} // one system call, where the connection is a socket
	n, err := frame.WriteTo(w.WriteCloser)
	return max(0, int(n)-frameHeader), err
}

// BulkReader reads a session from a slow writer of small pieces, such as sshd.
//
// What yamux asks for beyond its buffer is the rest of a data frame, which is
// of use to nobody before it is whole. Waking for each piece of it would cost
// a change of processes every few kilobytes, so most of the time that the rest
// is going to take, as the frames before tell, is slept.
type BulkReader struct {
	io.Reader
	rate float64 // bytes per second of the frames before
}

const (
	bulkSize = 32 << 10              // bytes that are worth waiting for
	minSleep = time.Millisecond      // below it, waiting for each piece is as good
	maxSleep = 20 * time.Millisecond // a frame may be late by this, when the link gets faster
)

// Read fills p if it is large.
func (r *BulkReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if len(p) < bulkSize || n == len(p) {
		return n, err
	}
	began := time.Now()
	first := n
	for err == nil && n < len(p) {
		if r.rate > 0 {
			// Not all of it: a link that has become faster must show.
			rest := time.Duration(float64(len(p)-n) / r.rate * 0.75 * float64(time.Second))
			if rest >= minSleep {
				time.Sleep(min(rest, maxSleep))
			}
		}
		var more int
		more, err = r.Reader.Read(p[n:])
		n += more
	}
	if took := time.Since(began).Seconds(); took > 0 && n > first {
		r.rate = float64(n-first) / took
	}
	return n, err
}
