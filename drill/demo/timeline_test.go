package main

import (
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

func TestPromotion(t *testing.T) {
	fault := time.Now()
	at := func(ms int) time.Time { return fault.Add(time.Duration(ms) * time.Millisecond) }
	steps := []state.Step{
		{Name: "eligible", Started: at(1)}, {Name: "ask", Object: "a", Started: at(10)},
		{Name: "snapshot", Started: at(3000)}, {Name: "mount", Started: at(3100)},
		{Name: "networks", Started: at(3200)}, {Name: "start", Object: "traefik", Started: at(3300)}, {Name: "start", Object: "app1", Started: at(3400)},
	}
	got := promotion(steps, func(at time.Time) time.Duration { return at.Sub(fault) })
	want := []moment{
		{10 * time.Millisecond, "b", "asks whether a still serves; no answer"},
		{3 * time.Second, "b", "takes a snapshot, makes the data writable and mounts it"},
		{3200 * time.Millisecond, "b", "starts traefik app1"},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}
