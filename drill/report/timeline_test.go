package report

import (
	"testing"
	"time"

	"github.com/understudy-ha/understudy/drill/observe"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

func sample(node string, sent, received int, s observe.State) observe.Event {
	return observe.Event{Sample: &observe.Sample{Node: node, Sent: at(sent), Received: at(received), State: s}}
}

var (
	writer = observe.State{Running: []string{"app1"}}
	idle   = observe.State{}
)

func TestTwoWritersNeedsProof(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []observe.Event
		breaks []pause
		want   bool
	}{
		{"one after the other", []observe.Event{
			sample("a", 0, 10, writer), sample("a", 100, 110, writer), sample("b", 120, 130, writer), sample("a", 200, 210, idle), sample("b", 220, 230, writer),
		}, nil, false},
		{"a sample within a stretch", []observe.Event{
			sample("a", 0, 10, writer), sample("a", 200, 210, writer), sample("b", 100, 110, writer),
		}, nil, true},
		{"came out of order", []observe.Event{
			sample("a", 200, 210, writer), sample("b", 100, 110, writer), sample("a", 0, 10, writer),
		}, nil, true},
		{"the bounds overlap", []observe.Event{
			sample("a", 0, 10, writer), sample("a", 100, 180, writer), sample("b", 95, 110, writer),
		}, nil, false},
		{"the other node's stretch", []observe.Event{
			sample("b", 0, 10, writer), sample("b", 300, 310, writer), sample("a", 100, 110, writer), sample("a", 400, 410, writer),
		}, nil, true},
		{"not a writer between", []observe.Event{
			sample("a", 0, 10, writer), sample("a", 50, 60, idle), sample("b", 100, 110, writer), sample("a", 200, 210, writer),
		}, nil, false},
		{"the plug was pulled between", []observe.Event{
			sample("a", 0, 10, writer), sample("b", 100, 110, writer), sample("a", 200, 210, writer),
		}, []pause{{"a", at(50)}}, false},
		{"too long ago", []observe.Event{
			sample("a", 0, 10, writer), sample("b", 2000, 2010, writer), sample("a", 4000, 4010, writer),
		}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := &Timeline{breaks: c.breaks}
			for _, e := range c.events {
				line.Add(e)
			}
			if got := line.TwoWriters("a", "b"); got != "" != c.want {
				t.Errorf("got %q, want a proof: %v", got, c.want)
			}
		})
	}
}

func TestMomentsCountOnlyWhatTheNewNodeAnswers(t *testing.T) {
	answer := func(target, node string, sent, received int) observe.Event {
		return observe.Event{Answer: &observe.Answer{Target: target, Node: node, Sent: at(sent), Received: at(received), OK: true}}
	}
	line := &Timeline{Projects: []string{"app1", "app2", "app3"}}
	for _, e := range []observe.Event{
		sample("b", 90, 95, observe.State{Address: true}), // before the fault
		sample("a", 110, 112, observe.State{Address: true}),
		answer("traefik", "", 115, 118), // the old node's
		sample("b", 200, 204, observe.State{}),
		sample("b", 300, 305, observe.State{Address: true}),
		sample("a", 306, 310, observe.State{Address: true}), // for a moment both
		answer("traefik", "", 308, 309),
		answer("app1", "a", 309, 312),
	} {
		line.Add(e)
	}
	if m, missing := line.Moments(at(100), "b"); missing != "an answer of Traefik on b" || m.Address != 205*time.Millisecond {
		t.Errorf("moments %+v, missing %q", m, missing)
	}
	line.Add(answer("traefik", "", 400, 410))
	for i, name := range line.Projects {
		if _, missing := line.Moments(at(100), "b"); missing != "an answer of "+name+" on b" {
			t.Errorf("missing %q", missing)
		}
		line.Add(answer(name, "b", 500, 510+i))
	}
	m, missing := line.Moments(at(100), "b")
	if want := (Moments{205 * time.Millisecond, 310 * time.Millisecond, 412 * time.Millisecond, 100 * time.Millisecond}); missing != "" || m != want {
		t.Errorf("moments %+v, missing %q, want %+v", m, missing, want)
	}
}
