package session

import (
	"io"
	"time"
)

// BufferSize is the unit in which streams are copied, in bytes.
const BufferSize = 256 << 10

// Copy copies a stream to its end.
func Copy(to io.Writer, from io.Reader) (int64, error) {
	return io.CopyBuffer(onlyWriter{to}, from, make([]byte, BufferSize))
}

// onlyWriter hides the file's ReadFrom, so that the buffer given is used.
type onlyWriter struct{ io.Writer }

// IdleWatch calls a function once when nothing has been read for a while.
type IdleWatch struct {
	timer *time.Timer
	limit time.Duration
}

// WatchIdle starts a watch. onIdle gets the limit, for its message.
func WatchIdle(limit time.Duration, onIdle func(after time.Duration)) *IdleWatch {
	return &IdleWatch{limit: limit, timer: time.AfterFunc(limit, func() { onIdle(limit) })}
}

// Stop ends the watch.
func (w *IdleWatch) Stop() { w.timer.Stop() }

// Reader returns r, watched: each read that yields bytes restarts the time. After the
// last one the time continues, for the work at the stream's end.
func (w *IdleWatch) Reader(r io.Reader) io.Reader { return &idleReader{r, w} }

type idleReader struct {
	io.Reader
	watch *IdleWatch
}

func (r *idleReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.watch.timer.Reset(r.watch.limit)
	}
	return n, err
}
