package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/drill/observe"
)

// Lane is one observed fact as a row of bars.
type Lane struct {
	// Node is the lane's node; it is empty for answers on the virtual IP.
	Node string `json:"node,omitempty"`
	// What is "address", "data" or "services" for a node, else the target of
	// the question: "traefik" or a project.
	What string `json:"what"`
	Bars []Bar  `json:"bars"`
}

// Bar is a stretch of a lane, in seconds since its zero.
type Bar struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	// Node is the node that answered, if known, or the node of the lane.
	Node string `json:"node,omitempty"`
	// Kind is "on", "answers", "fails" (no answer, or an error) or "silent"
	// (the node could not be asked).
	Kind string `json:"kind"`
	// Share is the part of all projects or datasets.
	Share float64 `json:"share,omitempty"`
}

// unseen is the largest gap between two samples that is not shown as a time
// without answers.
const unseen = 1500 * time.Millisecond

// Lanes draws the observations between two moments; bars count from zero.
func (t *Timeline) Lanes(zero, from, to time.Time, nodes ...string) []Lane {
	w := window{zero, from, to}
	var lanes []Lane
	for _, node := range nodes {
		samples := t.Of(node)
		all := func(count func(observe.Sample) int) float64 {
			most := 1
			for _, s := range samples {
				most = max(most, count(s))
			}
			return float64(most)
		}
		writable := func(s observe.Sample) int { return len(s.Writable) }
		running := func(s observe.Sample) int { return len(s.Running) }
		data, services := all(writable), all(running)
		for _, lane := range []struct {
			what  string
			share func(observe.Sample) float64
		}{
			{"address", func(s observe.Sample) float64 {
				if s.Address {
					return 1
				}
				return 0
			}},
			{"data", func(s observe.Sample) float64 { return float64(writable(s)) / data }},
			{"services", func(s observe.Sample) float64 { return float64(running(s)) / services }},
		} {
			lanes = append(lanes, Lane{Node: node, What: lane.what, Bars: w.samples(node, samples, lane.share)})
		}
	}
	for _, target := range append([]string{"traefik"}, t.Projects...) {
		lanes = append(lanes, Lane{What: target, Bars: w.answers(t.Answers(target))})
	}
	return lanes
}

// window is the time that the lanes show.
type window struct{ zero, from, to time.Time }

// add appends a bar, cut to the window, or extends the previous bar.
func (w window) add(bars []Bar, from, to time.Time, b Bar) []Bar {
	if from.Before(w.from) {
		from = w.from
	}
	if to.After(w.to) {
		to = w.to
	}
	if !from.Before(to) {
		return bars
	}
	b.From, b.To = from.Sub(w.zero).Seconds(), to.Sub(w.zero).Seconds()
	if last := len(bars) - 1; last >= 0 {
		before := bars[last]
		before.From, before.To = b.From, b.To
		if before == b && bars[last].To >= b.From {
			bars[last].To = b.To
			return bars
		}
	}
	return append(bars, b)
}

// samples draws a share of a node: each sample counts until the next one.
func (w window) samples(node string, samples []observe.Sample, share func(observe.Sample) float64) []Bar {
	bars := []Bar{}
	seen := w.from
	for i, s := range samples {
		until := w.to
		if i+1 < len(samples) {
			until = samples[i+1].Sent
		}
		if !until.After(w.from) || s.Sent.After(w.to) {
			continue
		}
		if s.Sent.Sub(seen) > unseen {
			bars = w.add(bars, seen, s.Sent, Bar{Node: node, Kind: "silent"})
		}
		if until.Sub(s.Received) > unseen {
			until = s.Received
		}
		if part := share(s); part > 0 {
			bars = w.add(bars, s.Sent, until, Bar{Node: node, Kind: "on", Share: part})
		}
		seen = until
	}
	if w.to.Sub(seen) > unseen {
		bars = w.add(bars, seen, w.to, Bar{Node: node, Kind: "silent"})
	}
	return bars
}

// answers draws the answers: each one counts until the next question.
func (w window) answers(answers []observe.Answer) []Bar {
	answers = slices.Clone(answers)
	slices.SortStableFunc(answers, func(a, b observe.Answer) int { return cmp.Compare(a.Sent.UnixNano(), b.Sent.UnixNano()) })
	bars := []Bar{}
	for i, a := range answers {
		until := a.Received
		if i+1 < len(answers) {
			until = answers[i+1].Sent
		}
		b := Bar{Node: a.Node, Kind: "answers"}
		if !a.OK {
			b = Bar{Kind: "fails"}
		}
		bars = w.add(bars, a.Sent, until, b)
	}
	return bars
}

// Changes returns the lines of Story between two moments, with seconds since
// zero instead of the time of day.
func (t *Timeline) Changes(zero, from, to time.Time, nodes ...string) []string {
	some := t.Since(from)
	some.samples = slices.DeleteFunc(some.samples, func(s observe.Sample) bool { return s.Sent.After(to) })
	some.answers = slices.DeleteFunc(some.answers, func(a observe.Answer) bool { return a.Sent.After(to) })
	text := some.story(func(at time.Time) string { return since(zero, at) }, nodes...)
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
