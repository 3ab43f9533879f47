//go:build drill

package drill

import (
	"slices"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// rounds is the number of switchovers to the other node and back.
func rounds() int {
	if Kind() == lab.VM {
		return 3 // each move takes an emulated machine minutes
	}
	return 10
}

// overAndOver moves everything to the other node and back, again and again,
// under constant writes. No move may lose an acknowledged write.
func overAndOver(t *testing.T, d *takeover) {
	var gaps []time.Duration
	for range 2 * rounds() {
		from, asked := d.active.Name(), time.Now()
		d.shell(t, d.active, `failover-notify switchover >&2`)
		d.active, d.standby = d.standby, d.active
		d.serves(t)
		d.lostNothing(t)
		gap := d.gap(t, from, d.active.Name(), asked)
		gaps = append(gaps, gap)
		t.Logf("from %s to %s: no write was taken for %.2f s", from, d.active.Name(), gap.Seconds())
		d.replicate(t)
		d.ready(t)
	}
	slices.Sort(gaps)
	t.Logf("%d switchovers: no write was taken for %.2f s at the least, %.2f s in the middle, %.2f s at the most",
		len(gaps), gaps[0].Seconds(), gaps[len(gaps)/2].Seconds(), gaps[len(gaps)-1].Seconds())
}

// gap returns the longest time in which an application took no write: from the
// last write that one node acknowledged to the first write on the other node.
func (d *takeover) gap(t *testing.T, from, to string, asked time.Time) time.Duration {
	t.Helper()
	var longest time.Duration
	for _, name := range d.Line.Projects {
		var last, first time.Time
		for _, a := range d.Line.Answers(name) {
			switch {
			case a.OK && a.Node == from && a.Received.After(last):
				last = a.Received
			case a.OK && a.Node == to && a.Sent.After(asked) && first.IsZero():
				first = a.Received
			}
		}
		if last.IsZero() || first.IsZero() {
			t.Fatalf("no writes to %s before and after", name)
		}
		longest = max(longest, first.Sub(last))
	}
	return longest
}
