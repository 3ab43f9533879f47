//go:build drill

package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/drill/report"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// resultsFile is the environment variable with the file for results.
const resultsFile = "DRILL_RESULTS"

// record writes the result of a scenario that starts, and again when the
// scenario ends, whether it passes or fails, after complete has added
// measurements; complete may be nil.
func record(t *testing.T, scenario string, complete func(*report.Result)) {
	t.Helper()
	group, _, _ := strings.Cut(strings.TrimPrefix(t.Name(), "Test"), "/")
	r := report.Result{Group: group, Scenario: scenario, Kind: string(Kind()), Began: time.Now(), Verdict: report.Unfinished}
	write := func() {
		if path := os.Getenv(resultsFile); path != "" {
			if err := report.Append(path, r); err != nil {
				t.Error(err)
			}
		}
	}
	write()
	t.Cleanup(func() {
		r.Verdict, r.Seconds = report.Passed, time.Since(r.Began).Seconds()
		if t.Failed() {
			r.Verdict = report.Failed
		}
		if complete != nil {
			complete(&r)
		}
		write()
	})
}

// measured holds the measurements of a scenario.
type measured struct {
	began   time.Time
	ended   time.Time // when it had happened, before the site was made whole
	fault   time.Time // zero where nothing moved
	moments report.Moments
	missing map[string]bool // acknowledged writes that are missing where they must be
	gone    int             // the takeover's, when it began
	// With partly set, only sought acknowledged writes are searched for.
	partly bool
	sought int
}

// took records the time of the first move.
func (m *measured) took(fault time.Time, moments report.Moments) {
	if m.fault.IsZero() {
		m.fault, m.moments = fault, moments
	}
}

// misses records an acknowledged write that is missing.
func (m *measured) misses(id string) {
	if m.missing == nil {
		m.missing = map[string]bool{}
	}
	m.missing[id] = true
}

// begins starts a scenario and the record of its result.
func (d *takeover) begins(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	d.ctx, d.name, d.began = ctx, name, time.Now()
	d.measured = measured{began: d.began, gone: d.gone}
	record(t, name, func(r *report.Result) {
		d.completes(r)
		d.results = append(d.results, *r)
	})
	t.Cleanup(func() {
		if t.Failed() {
			d.explain(t)
		}
	})
}

// happened ends the observation of a scenario; its cleanup follows.
func (d *takeover) happened() { d.measured.ended = time.Now().Add(time.Second) } // which shows that it lasts

// completes adds the measurements to a result.
func (d *takeover) completes(r *report.Result) {
	m := d.measured
	if m.ended.IsZero() {
		m.ended = time.Now()
	}
	r.Measure(m.moments)
	zero := m.began
	if !m.fault.IsZero() {
		zero = m.fault
		if reaction := d.reacted(m); !reaction.IsZero() {
			r.Detected(reaction.Sub(m.fault))
		}
	}
	from := zero.Add(-2 * time.Second) // what was before shows what a fault changes
	for _, name := range d.Line.Projects {
		for _, a := range d.Line.Since(m.began).Answers(name) {
			if a.OK {
				r.Writes++
			}
		}
	}
	if m.partly {
		r.Writes = m.sought
	}
	r.Lost = len(m.missing)
	// Writes that are still in tail were not found, since the scenario failed
	// before.
	r.Kept = max(0, d.gone-m.gone-r.Lost-len(d.tail))
	r.Lanes = d.Line.Lanes(zero, from, m.ended, d.names()...)
	r.Changes = d.Line.Changes(zero, from, m.ended, d.names()...)
}

// names returns the names of all nodes.
func (d *takeover) names() []string {
	var names []string
	for _, n := range d.Lab.Nodes {
		names = append(names, n.Name())
	}
	return names
}

// reacted returns the first reaction to a fault: by the records of the nodes,
// or by the move of the virtual IP.
func (d *takeover) reacted(m measured) time.Time {
	var first time.Time
	earlier := func(at time.Time) {
		if at.After(m.fault) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if m.moments.Address > 0 {
		earlier(m.fault.Add(m.moments.Address))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, n := range d.Lab.Nodes {
		for _, at := range recorded(ctx, n) {
			earlier(at)
		}
	}
	return first
}

// recorded returns the moments, by this machine's clock, at which a node
// recorded a request or the start of an action. A node that cannot be asked has
// none.
func recorded(ctx context.Context, n lab.Node) []time.Time {
	ahead, err := ahead(ctx, n)
	if err != nil {
		return nil
	}
	s, err := ReadState(ctx, n)
	if err != nil {
		return nil
	}
	list := []time.Time{s.Request.Time}
	for _, reason := range s.Eligibility.Reasons {
		list = append(list, reason.Since)
	}
	var history []state.Transition
	if text, err := Shell(ctx, n, `cat /var/lib/understudy/history.json`); err == nil && json.Unmarshal([]byte(text), &history) == nil {
		for _, t := range history {
			list = append(list, t.Started)
		}
	}
	for i := range list {
		list[i] = list[i].Add(-ahead)
	}
	return list
}

// ahead returns how far a node's clock is ahead of this machine's. Namespaces
// share its clock.
func ahead(ctx context.Context, n lab.Node) (time.Duration, error) {
	if n.Kind() == lab.NS {
		return 0, nil
	}
	sent := time.Now()
	text, err := Shell(ctx, n, `echo "$EPOCHREALTIME"`)
	if err != nil {
		return 0, err
	}
	took := time.Since(sent)
	microseconds, err := strconv.ParseInt(strings.Replace(text, ".", "", 1), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the time of %s: %w", n.Name(), err)
	}
	return time.UnixMicro(microseconds).Sub(sent.Add(took / 2)), nil
}
