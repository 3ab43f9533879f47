package command

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/replicate"
	"github.com/understudy-ha/understudy/pkg/report"
)

// logEvery is how often a run without a terminal says how far it is.
const logEvery = 10 * time.Second

// progress shows how a run goes on: on a terminal a bar for the whole, which
// names the dataset under way and how much of it is there, and a line for each
// dataset that is through; elsewhere a log line now and then.
type progress struct {
	process *cli.Process

	mu     sync.Mutex
	bar    *progressbar.ProgressBar
	ticker *time.Ticker
	stop   chan struct{}
	total  int64
	sent   int64
	since  time.Time
	sizes  map[string]int64 // of each dataset under way, by standby and name
	got    map[string]int64
}

func newProgress(p *cli.Process) *progress {
	b := &progress{process: p, sizes: map[string]int64{}, got: map[string]int64{}, since: p.Now(), stop: make(chan struct{})}
	if !p.StderrTerminal {
		b.ticker = time.NewTicker(logEvery)
		go b.logLines()
	}
	return b
}

func (b *progress) logLines() {
	for {
		select {
		case <-b.stop:
			return
		case <-b.ticker.C:
			b.mu.Lock()
			rate := float64(b.sent) / max(b.process.Now().Sub(b.since).Seconds(), 0.001)
			b.process.Log.Info().Int64("bytes", b.sent).Msgf("sent %s of about %s, %s/s", report.Bytes(b.sent), report.Bytes(b.total), report.Bytes(int64(rate)))
			b.mu.Unlock()
		}
	}
}

// Planned makes the bar longer.
func (b *progress) Planned(node string, plan replicate.Plan, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total += bytes
	sends := false
	for _, item := range plan.Items {
		var size int64
		for _, s := range item.Streams {
			size += s.Bytes
			sends = true
		}
		b.sizes[node+"\t"+item.Source] = size
	}
	if !b.process.StderrTerminal || !sends {
		return
	}
	if b.bar == nil {
		b.bar = progressbar.NewOptions64(b.total,
			progressbar.OptionSetWriter(b.process.Stderr),
			progressbar.OptionShowBytes(true),
			progressbar.OptionShowCount(),
			progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetWidth(10),
			progressbar.OptionThrottle(200*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish(),
		)
	} else {
		b.bar.ChangeMax64(max(b.total, b.sent+1))
	}
}

// Sent moves the bar on.
func (b *progress) Sent(node, source string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += n
	key := node + "\t" + source
	b.got[key] += n
	if b.bar == nil {
		return
	}
	if b.sent >= b.total { // the estimate was short
		b.total = b.sent + 1
		b.bar.ChangeMax64(b.total)
	}
	b.bar.Describe(fmt.Sprintf("%-18s %4s", tail(source, 18), percent(b.got[key], b.sizes[key])))
	_ = b.bar.Add64(n)
}

// Done writes a line above the bar.
func (b *progress) Done(node string, r *replicate.ItemResult) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.got, node+"\t"+r.Source)
	if !b.process.StderrTerminal {
		return
	}
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	switch {
	case r.Error != "":
		fmt.Fprintf(b.process.Stderr, "%s: %s: failed: %s\n", node, r.Source, r.Error)
	case r.Stuck():
		fmt.Fprintf(b.process.Stderr, "%s: %s: %s: %s\n", node, r.Source, r.Action, r.Reason)
	default:
		fmt.Fprintf(b.process.Stderr, "%s: %s: %s, %s in %s\n", node, r.Source, r.Action, report.Bytes(r.Bytes), report.Seconds(r.Seconds))
	}
}

// WantsEstimates is true where somebody sees the bar.
func (b *progress) WantsEstimates() bool { return b.process.StderrTerminal }

// close takes the bar away.
func (b *progress) close() {
	close(b.stop)
	if b.ticker != nil {
		b.ticker.Stop()
	}
	if b.bar != nil {
		_ = b.bar.Finish()
		_ = b.bar.Clear()
	}
}

// tail is the end of a name, which says more than its beginning.
func tail(name string, width int) string {
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
