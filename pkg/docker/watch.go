package docker

import (
	"context"
	"io"
	"sync"
	"time"
)

// watch ends a transfer in which nothing moves any more: one layer that comes
// from the network, or all of it.
type watch struct {
	what     string
	stall    time.Duration
	progress Progress

	mu     sync.Mutex
	moved  time.Time            // when anything moved last
	local  bool                 // the engine itself is at work
	layers map[string]time.Time // those that come from the network, by when they moved last
	bytes  map[string]int64
	read   int64
	cancel context.CancelCauseFunc
}

func newWatch(what string, stall time.Duration, progress Progress) *watch {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	return &watch{what: what, stall: stall, progress: progress, moved: time.Now(), layers: map[string]time.Time{}, bytes: map[string]int64{}}
}

// start watches until stop is called.
func (w *watch) start(ctx context.Context) (context.Context, func()) {
	ctx, w.cancel = context.WithCancelCause(ctx)
	tick := time.NewTicker(max(w.stall/10, time.Millisecond))
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := w.stalled(time.Now()); err != nil {
					w.cancel(err)
				}
			}
		}
	}()
	return ctx, func() {
		tick.Stop()
		close(done)
		w.cancel(nil)
	}
}

// stalled is a *StallError when nothing has moved for too long.
func (w *watch) stalled(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for layer, moved := range w.layers {
		if now.Sub(moved) > w.stall {
			return &StallError{What: w.what, Layer: layer, For: w.stall}
		}
	}
	limit := w.stall
	if w.local {
		limit = max(w.stall, unpackTime)
	}
	if now.Sub(w.moved) > limit {
		return &StallError{What: w.what, For: limit}
	}
	return nil
}

// cause is err, or why the transfer was ended.
func (w *watch) cause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if stalled, ok := context.Cause(ctx).(*StallError); ok {
		return stalled
	}
	return err
}

// event takes note of what the engine says of a layer.
func (w *watch) event(line event) {
	w.mu.Lock()
	now := time.Now()
	w.moved = now
	switch line.Status {
	case "Pulling fs layer", "Downloading":
		w.local = false
		before, known := w.bytes[line.ID]
		if at := line.ProgressDetail.Current; !known || at != before {
			w.bytes[line.ID], w.layers[line.ID] = at, now
		}
	case "Extracting", "Verifying Checksum", "Loading layer":
		w.local = true
		delete(w.layers, line.ID)
	default: // Waiting, Download complete, Pull complete, Retrying in 5 seconds, …
		delete(w.layers, line.ID)
	}
	w.mu.Unlock()
	if d := line.ProgressDetail; line.Status == "Downloading" && d.Total > 0 {
		w.progress(line.ID, d.Current, d.Total)
	}
}

// unpacking says that the engine is at work by itself.
func (w *watch) unpacking() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.local = true
}

// reader takes note of what is read through it.
func (w *watch) reader(in io.Reader) io.Reader { return &watchedReader{in: in, watch: w} }

type watchedReader struct {
	in    io.Reader
	watch *watch
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	w := r.watch
	w.mu.Lock()
	w.moved, w.local = time.Now(), err != nil
	w.read += int64(n)
	read := w.read
	w.mu.Unlock()
	if n > 0 {
		w.progress("", read, 0)
	}
	return n, err
}
