// Package progress owns how a long transfer shows itself: on a terminal one bar
// for the whole, which names the item in progress, and a line for each finished
// item; elsewhere a log line every ten seconds.
//
// It must not know what is transferred.
package progress

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/report"
)

const (
	// logEvery is how often a run without a terminal logs how far it is.
	logEvery = 10 * time.Second
	// drawEvery bounds how often the bar is drawn.
	drawEvery = 200 * time.Millisecond
	nameWidth = 18
)

// Display shows bytes that move. Its methods may be called concurrently.
type Display struct {
	process *cli.Process
	summary func(moved, total int64, rate string) string

	mu    sync.Mutex
	bar   *progressbar.ProgressBar
	total int64 // an estimate
	moved int64
	since time.Time
	sizes map[string]int64 // of the items in progress; 0 is unknown
	got   map[string]int64

	stop, ended chan struct{}
}

// New returns a display of the process's standard error. summary makes the log
// line of a run without a terminal; "" logs nothing.
func New(p *cli.Process, summary func(moved, total int64, rate string) string) *Display {
	d := &Display{process: p, summary: summary, since: p.Now(), sizes: map[string]int64{}, got: map[string]int64{},
		stop: make(chan struct{}), ended: make(chan struct{})}
	if p.StderrTerminal {
		close(d.ended)
	} else {
		go d.log()
	}
	return d
}

func (d *Display) log() {
	defer close(d.ended)
	ticker := time.NewTicker(logEvery)
	defer ticker.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-ticker.C:
			d.mu.Lock()
			rate := float64(d.moved) / max(d.process.Now().Sub(d.since).Seconds(), 0.001)
			moved, total := d.moved, d.total
			d.mu.Unlock()
			if line := d.summary(moved, total, report.Bytes(int64(rate))+"/s"); line != "" {
				d.process.Log.Info().Int64("bytes", moved).Msg(line)
			}
		}
	}
}

// Expect announces an item of about so many bytes; 0 is unknown.
func (d *Display) Expect(item string, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes[item] = bytes
	d.total += bytes
	if d.bar != nil {
		d.bar.ChangeMax64(max(d.total, d.moved+1))
	}
}

// Show draws the bar, on a terminal.
func (d *Display) Show() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil || !d.process.StderrTerminal {
		return
	}
	d.bar = progressbar.NewOptions64(max(d.total, 1),
		progressbar.OptionSetWriter(d.process.Stderr),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetWidth(10),
		progressbar.OptionThrottle(drawEvery),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)
}

// Moved adds bytes of an item.
func (d *Display) Moved(item string, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moved += bytes
	d.got[item] += bytes
	if d.bar == nil {
		return
	}
	if d.moved >= d.total { // the estimate was short
		d.total = d.moved + 1
		d.bar.ChangeMax64(d.total)
	}
	d.bar.Describe(fmt.Sprintf("%-*s %4s", nameWidth, ending(item, nameWidth), percent(d.got[item], d.sizes[item])))
	_ = d.bar.Add64(bytes) // a bar that can't be drawn is no failure
}

// Done ends an item and, on a terminal, prints a line above the bar; "" prints none.
func (d *Display) Done(item, line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.got, item)
	delete(d.sizes, item)
	if !d.process.StderrTerminal || line == "" {
		return
	}
	if d.bar != nil {
		_ = d.bar.Clear()
	}
	fmt.Fprintln(d.process.Stderr, line)
}

// Close removes the bar.
func (d *Display) Close() {
	close(d.stop)
	<-d.ended
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil {
		_ = d.bar.Finish()
		_ = d.bar.Clear()
	}
}

// ending returns the end of a name, which says more than its beginning.
func ending(name string, width int) string {
	runes := []rune(name)
	if len(runes) <= width {
		return name
	}
	return "…" + string(runes[len(runes)-width+1:])
}

func percent(got, of int64) string {
	if of <= 0 {
		return ""
	}
	return fmt.Sprintf("%d%%", min(got*100/of, 100))
}
