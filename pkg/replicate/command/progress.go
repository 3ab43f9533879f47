package command

import (
	"fmt"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/cli/progress"
	"github.com/understudy-ha/understudy/pkg/replicate"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/report"
)

// transfers shows the streams of a run.
type transfers struct {
	display *progress.Display
	shown   bool
}

func newProgress(p *cli.Process) *transfers {
	return &transfers{shown: p.StderrTerminal, display: progress.New(p, func(sent, total int64, rate string) string {
		return fmt.Sprintf("sent %s of about %s, %s", report.Bytes(sent), report.Bytes(total), rate)
	})}
}

// item names a dataset on its way to a standby.
func item(node, source string) string { return node + ": " + source }

// Planned announces the streams of a plan.
func (t *transfers) Planned(node string, todo plan.Plan, _ int64) {
	sends := false
	for _, i := range todo.Items {
		var size int64
		for _, s := range i.Streams {
			size += s.Bytes
			sends = true
		}
		t.display.Expect(item(node, i.Source), size)
	}
	if sends {
		t.display.Show()
	}
}

// Sent counts bytes of a stream.
func (t *transfers) Sent(node, source string, n int64) { t.display.Moved(item(node, source), n) }

// Done tells how an item ended.
func (t *transfers) Done(node string, r *replicate.ItemResult) {
	line := fmt.Sprintf("%s: %s: %s, %s in %s", node, r.Source, r.Action, report.Bytes(r.Bytes), report.Seconds(r.Seconds))
	switch {
	case r.Error != "":
		line = fmt.Sprintf("%s: %s: failed: %s", node, r.Source, r.Error)
	case r.Stuck():
		line = fmt.Sprintf("%s: %s: %s: %s", node, r.Source, r.Action, r.Reason)
	}
	t.display.Done(item(node, r.Source), line)
}

// WantsEstimates reports whether somebody sees the bar.
func (t *transfers) WantsEstimates() bool { return t.shown }

func (t *transfers) close() { t.display.Close() }
