package session

import (
	"encoding/binary"
	"io"
	"net"
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
