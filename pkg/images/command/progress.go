package command

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/images"
	"github.com/understudy-ha/understudy/pkg/report"
)

const (
	// drawEvery is how often the bars move.
	drawEvery = 200 * time.Millisecond
	// logEvery is how often a run without a terminal says how far it is.
	logEvery = 10 * time.Second
	barWidth = 20
)

// progress shows how a run gets on: on a terminal a bar for each image that is
// fetched and one for all, elsewhere a log line now and then.
type progress struct {
	process *cli.Process
	stop    chan struct{}
	ended   chan struct{}

	mu      sync.Mutex
	planned int
	started int
	done    int
	order   []string
	bars    map[string]*bar
	drawn   int // lines on the terminal
}

// bar is one image under way.
type bar struct {
	total  int64 // of all of the image, unpacked; 0 is unknown
	layers map[string][2]int64
}

// got is how many bytes have come, of how many.
func (b *bar) got() (bytes, total int64) {
	for _, l := range b.layers {
		bytes, total = bytes+l[0], total+l[1]
	}
	return bytes, max(total, bytes)
}

func newProgress(p *cli.Process) *progress {
	b := &progress{process: p, stop: make(chan struct{}), ended: make(chan struct{}), bars: map[string]*bar{}}
	every := logEvery
	if p.StderrTerminal {
		every = drawEvery
	}
	go b.show(every)
	return b
}

func (b *progress) show(every time.Duration) {
	defer close(b.ended)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.mu.Lock()
			if b.process.StderrTerminal {
				b.draw()
			} else if len(b.order) > 0 {
				b.process.Log.Info().Msg(b.all())
			}
			b.mu.Unlock()
		}
	}
}

// Planned tells how many images are looked at.
func (b *progress) Planned(images int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.planned = images
}

// Start adds a bar.
func (b *progress) Start(ref string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.started++
	b.order = append(b.order, ref)
	b.bars[ref] = &bar{total: bytes, layers: map[string][2]int64{}}
}

// Moved moves a bar on.
func (b *progress) Moved(ref, layer string, bytes, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one := b.bars[ref]; one != nil {
		one.layers[layer] = [2]int64{bytes, total}
	}
}

// Done takes a bar away. What has come is said at the end of the run.
func (b *progress) Done(item *images.Item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	delete(b.bars, item.Ref)
	for i, ref := range b.order {
		if ref == item.Ref {
			b.order = append(b.order[:i], b.order[i+1:]...)
			break
		}
	}
}

// all is one line about all images.
func (b *progress) all() string {
	var bytes int64
	for _, one := range b.bars {
		got, _ := one.got()
		bytes += got
	}
	return fmt.Sprintf("%d images fetched, %d under way (%s), %d looked after in total", b.done, len(b.order), report.Bytes(bytes), b.planned)
}

// draw paints the bars over the ones before.
func (b *progress) draw() {
	var text strings.Builder
	b.wipe(&text)
	for _, ref := range b.order {
		got, total := b.bars[ref].got()
		fmt.Fprintf(&text, "%-30s %s %9s\n", tail(ref, 30), line(got, total), report.Bytes(got))
	}
	b.drawn = len(b.order)
	if b.drawn > 0 {
		fmt.Fprintf(&text, "%-30s %s %d of %d\n", "all", line(int64(b.done), int64(b.started)), b.done, b.started)
		b.drawn++
	}
	_, _ = io.WriteString(b.process.Stderr, text.String()) // a bar that nobody sees is no failure
}

// wipe takes the bars off the terminal.
func (b *progress) wipe(w io.Writer) {
	if b.drawn > 0 {
		fmt.Fprintf(w, "\x1b[%dA\x1b[J", b.drawn)
	}
	b.drawn = 0
}

// close takes the bars away.
func (b *progress) close() {
	close(b.stop)
	<-b.ended
	b.wipe(b.process.Stderr)
}

// line is a bar.
func line(got, total int64) string {
	full := 0
	if total > 0 {
		full = int(min(got*barWidth/total, barWidth))
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// tail is the end of a name, which says more than its beginning.
func tail(name string, width int) string {
	runes := []rune(name)
	if len(runes) <= width {
		return name
	}
	return "…" + string(runes[len(runes)-width+1:])
}
