package session

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/klauspost/compress/zstd"
)

// longAgo as a deadline ends every wait now.
var longAgo = time.Unix(1, 0)

// Upload is a stream into a dataset of the standby. The order of the calls is Watch,
// Write as often as there is something, Finish, and Close in any case.
type Upload struct {
	session *Session
	stream  *yamux.Stream
	dataset string
	reply   ack
	replied chan error
}

// Upload begins a stream into a dataset of the standby.
func (s *Session) Upload(call Receive) (*Upload, error) {
	stream, err := s.mux.OpenStream()
	if err != nil {
		return nil, s.lost(err)
	}
	call.Op = opReceive
	if err := writeLine(stream, call); err != nil {
		stream.Close()
		return nil, s.lost(err)
	}
	return &Upload{session: s, stream: stream, dataset: call.Dataset, replied: make(chan error, 1)}, nil
}

// Watch waits for the reply. A failure may come in the middle of the stream: then it
// calls failed and ends all writes, which may wait for a window that never opens.
func (u *Upload) Watch(failed func()) {
	go func() {
		err := readLine(bufio.NewReader(u.stream), &u.reply)
		if err == nil {
			err = u.reply.err()
		} else {
			err = u.session.lost(fmt.Errorf("no answer about %s: %w", u.dataset, err))
		}
		u.replied <- err
		if err != nil {
			failed()
			_ = u.stream.SetWriteDeadline(longAgo)
		}
	}()
}

func (u *Upload) Write(p []byte) (int, error) { return u.stream.Write(p) }

// Interrupt ends every wait.
func (u *Upload) Interrupt() { _ = u.stream.SetDeadline(longAgo) }

// Finish ends the stream and waits until it is received. warning is the
// standby's complaint about a stream that it has received.
func (u *Upload) Finish() (warning string, err error) {
	u.stream.Close() // the end of the stream for the other side
	err = <-u.replied
	return u.reply.Warning, err
}

// Close abandons a stream that has not ended.
func (u *Upload) Close() error { return u.stream.Close() }

// Compressor compresses as a call with Compress "zstd" announces.
func Compressor(to io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
}

// decompressor is the other end of Compressor.
func decompressor(from io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
}
