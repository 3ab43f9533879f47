package replicate

import (
	"io"
	"time"
)

// idleWatch calls a function once when nothing has been read for a while.
type idleWatch struct {
	timer *time.Timer
	limit time.Duration
}

func watchIdle(limit time.Duration, onIdle func(after time.Duration)) *idleWatch {
	return &idleWatch{limit: limit, timer: time.AfterFunc(limit, func() { onIdle(limit) })}
}

func (w *idleWatch) stop() { w.timer.Stop() }

// reader returns r, watched: each read that yields bytes starts the time anew.
// After the last one the time goes on, for what the stream's end sets off.
func (w *idleWatch) reader(r io.Reader) io.Reader { return &idleReader{r, w} }

type idleReader struct {
	io.Reader
	watch *idleWatch
}

func (r *idleReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.watch.timer.Reset(r.watch.limit)
	}
	return n, err
}
