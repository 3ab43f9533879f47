package report

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/drill/observe"
)

// Timeline holds the observations of a site, all by one clock.
type Timeline struct {
	// Projects are the applications whose answers are expected.
	Projects []string

	mu      sync.Mutex
	samples []observe.Sample
	answers []observe.Answer
	breaks  []pause
}

// pause is a moment without the node, such as a power loss: the samples before
// and after it belong to different stretches.
type pause struct {
	node string
	at   time.Time
}

func (t *Timeline) Add(e observe.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Sample != nil {
		t.samples = append(t.samples, *e.Sample)
	}
	if e.Answer != nil {
		t.answers = append(t.answers, *e.Answer)
	}
}

// Break records that a node ended at this moment with all its processes.
func (t *Timeline) Break(node string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.breaks = append(t.breaks, pause{node, time.Now()})
}

// Since returns the observations from a moment on.
func (t *Timeline) Since(at time.Time) *Timeline {
	t.mu.Lock()
	defer t.mu.Unlock()
	after := &Timeline{Projects: t.Projects, breaks: slices.Clone(t.breaks)}
	for _, s := range t.samples {
		if !s.Sent.Before(at) {
			after.samples = append(after.samples, s)
		}
	}
	for _, a := range t.answers {
		if !a.Sent.Before(at) {
			after.answers = append(after.answers, a)
		}
	}
	return after
}

// Of returns the samples of one node in the order of the questions.
func (t *Timeline) Of(node string) []observe.Sample {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []observe.Sample
	for _, s := range t.samples {
		if s.Node == node {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b observe.Sample) int { return a.Sent.Compare(b.Sent) })
	return list
}

// Last returns the newest sample of a node.
func (t *Timeline) Last(node string) (observe.Sample, bool) {
	list := t.Of(node)
	if len(list) == 0 {
		return observe.Sample{}, false
	}
	return list[len(list)-1], true
}

// Answers returns the answers of a target in the order of their arrival.
func (t *Timeline) Answers(target string) []observe.Answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(t.answers), func(a observe.Answer) bool { return a.Target != target })
}

// Moments holds how long after a fault the other node had the virtual IP,
// Traefik answered there, and all applications answered. The end of an
// observation counts, so no time is too short.
type Moments struct {
	Address, Traefik, Projects time.Duration
	// Earliest is the last question before Address at which the node did not
	// have the virtual IP: it arrived between the two.
	Earliest time.Duration
}

// Moments measures the takeover by a node after a fault. missing names the
// first event that is still missing.
func (t *Timeline) Moments(fault time.Time, to string) (m Moments, missing string) {
	after := t.Since(fault)
	samples := after.Of(to)
	i := slices.IndexFunc(samples, func(s observe.Sample) bool { return s.Address })
	if i < 0 {
		return m, "the virtual IP on " + to
	}
	m.Address = samples[i].Received.Sub(fault)
	if i > 0 {
		m.Earliest = samples[i-1].Sent.Sub(fault)
	}
	// Traefik does not name its node. A question that was asked while only the
	// new node had the virtual IP was answered by the new node.
	alone := samples[i].Received
	for _, s := range after.samples {
		if s.Node != to && s.Address && s.Received.After(alone) {
			alone = s.Received
		}
	}
	answers := after.Answers("traefik")
	i = slices.IndexFunc(answers, func(a observe.Answer) bool { return a.OK && !a.Sent.Before(alone) })
	if i < 0 {
		return m, "an answer of Traefik on " + to
	}
	m.Traefik = answers[i].Received.Sub(fault)
	for _, name := range t.Projects {
		answers := after.Answers(name)
		i := slices.IndexFunc(answers, func(a observe.Answer) bool { return a.OK && a.Node == to })
		if i < 0 {
			return m, "an answer of " + name + " on " + to
		}
		m.Projects = max(m.Projects, answers[i].Received.Sub(fault))
	}
	return m, ""
}

// silence is the largest gap between two samples of one stretch.
const silence = 3 * time.Second

// stretch is a row of samples in all of which a node was a writer: from
// First.Received at the latest until Last.Sent at the earliest.
type stretch struct{ samples []observe.Sample }

func (s stretch) first() observe.Sample { return s.samples[0] }
func (s stretch) last() observe.Sample  { return s.samples[len(s.samples)-1] }

func (t *Timeline) stretches(node string) []stretch {
	var list []stretch
	var open []observe.Sample
	end := func() {
		if len(open) > 0 {
			list = append(list, stretch{open})
		}
		open = nil
	}
	for _, s := range t.Of(node) {
		if len(open) > 0 && (s.Sent.Sub(open[len(open)-1].Received) > silence || t.broken(node, open[len(open)-1].Sent, s.Received)) {
			end()
		}
		if s.Writer() {
			open = append(open, s)
		} else {
			end()
		}
	}
	end()
	return list
}

func (t *Timeline) broken(node string, from, to time.Time) bool {
	return slices.ContainsFunc(t.breaks, func(p pause) bool {
		return p.node == node && p.at.After(from) && p.at.Before(to)
	})
}

// TwoWriters returns the proof that two nodes could write at the same moment,
// or nothing. One node is known to be a writer between two of its samples; the
// other node was a writer at some moment of a sample between them.
func (t *Timeline) TwoWriters(a, b string) string {
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		others := t.stretches(pair[1])
		for _, one := range t.stretches(pair[0]) {
			from, to := one.first().Received, one.last().Sent
			for _, other := range others {
				for _, s := range other.samples {
					if s.Sent.After(from) && s.Received.Before(to) {
						return fmt.Sprintf("at %s, %s was a writer (%s) while %s was one from %s (%s) to %s (%s)",
							Clock(s.Sent), s.Node, Activity(s), pair[0], Clock(from), Activity(one.first()), Clock(to), Activity(one.last()))
					}
				}
			}
		}
	}
	return ""
}

// Clock formats a time of day to the millisecond.
func Clock(at time.Time) string { return at.Format("15:04:05.000") }

func since(zero, at time.Time) string { return fmt.Sprintf("%8.2f", at.Sub(zero).Seconds()) }

// Activity lists the datasets that a node could write and the projects it ran.
func Activity(s observe.Sample) string {
	return strings.Join(append(slices.Clone(s.Writable), s.Running...), " ")
}

// Story returns a line for each change of a node, for a reader.
func (t *Timeline) Story(nodes ...string) string { return t.story(Clock, nodes...) }

func (t *Timeline) story(clock func(time.Time) string, nodes ...string) string {
	type change struct {
		at   time.Time
		text string
	}
	var changes []change
	for _, node := range nodes {
		last := "?"
		for _, s := range t.Of(node) {
			text := Activity(s)
			if s.Address {
				text = "ADDRESS " + text
			}
			if s.Error != "" {
				text += " (" + s.Error + ")"
			}
			if text != last {
				changes = append(changes, change{s.Sent, fmt.Sprintf("%s %s: %s", clock(s.Sent), node, text)})
			}
			last = text
		}
	}
	for _, target := range append([]string{"traefik"}, t.Projects...) {
		last := "?"
		for _, a := range t.Answers(target) {
			text := "does not answer"
			switch {
			case a.OK:
				text = "answers " + a.Node
			case strings.HasPrefix(a.Error, "status "):
				text = a.Error
			}
			if text != last {
				changes = append(changes, change{a.Sent, fmt.Sprintf("%s %s %s", clock(a.Sent), target, text)})
			}
			last = text
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.at.Compare(b.at) })
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(c.text + "\n")
	}
	return b.String()
}
