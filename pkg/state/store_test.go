package state_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// Files and memory behave alike.
func TestStores(t *testing.T) {
	var changed []string
	memory := &state.Memory{Name: "/a", Changed: func(name string) { changed = append(changed, name) }}
	for name, d := range map[string]*state.Dir{"files": open(t), "memory": state.On(memory)} {
		t.Run(name, func(t *testing.T) { tryStore(t, d) })
	}
	if !slices.Contains(changed, "role.json") || !slices.Contains(changed, state.EligibilityFile) {
		t.Errorf("changes told: %v", changed)
	}
}

func tryStore(t *testing.T, d *state.Dir) {
	if _, found, err := d.Probe(); found || err != nil {
		t.Fatalf("in an empty folder: %v, %v", found, err)
	}
	if err := d.SetRole(state.RoleFile{Role: state.RoleActive, Term: 3, Boot: "a"}); err != nil {
		t.Fatal(err)
	}
	for boot, want := range map[string]state.Role{"a": state.RoleActive, "b": state.RoleUnknown} {
		role, file, err := d.CurrentRole(boot)
		if role != want || file.NewestTerm != 3 || err != nil {
			t.Errorf("in boot %s: %v, %+v, %v", boot, role, file, err)
		}
	}
	lock, err := d.Lock("work")
	if err != nil {
		t.Fatal(err)
	}
	_, again := d.Lock("work")
	if locked, ok := errors.AsType[*state.LockedError](again); !ok || locked.Name != "work" || !d.Held("work") {
		t.Errorf("a second lock: %v", again)
	}
	if err := errors.Join(lock.Unlock(), lock.Unlock()); err != nil || d.Held("work") {
		t.Errorf("after Unlock: %v, held %v", err, d.Held("work"))
	}
	for _, eligible := range []bool{true, false, true} {
		if err := d.SetEligibility(d, state.Eligibility{Eligible: eligible}); err != nil || d.ShowsEligible() != eligible {
			t.Errorf("eligible %v: shown %v, %v", eligible, d.ShowsEligible(), err)
		}
	}
	if err := errors.Join(d.WritePassing("x", 1), d.Remove("x"), d.Remove("x")); err != nil {
		t.Error(err)
	}
	var x int
	if found, err := d.Read("x", &x); found || err != nil {
		t.Errorf("after Remove: %v, %v", found, err)
	}
}

func TestHistoryStaysShort(t *testing.T) {
	d := state.On(&state.Memory{})
	for i := range 60 {
		if unreadable, err := d.AddHistory(state.Past{Term: uint64(i)}); unreadable != nil || err != nil {
			t.Fatal(unreadable, err)
		}
	}
	past, err := d.History()
	if err != nil || len(past) != 50 || past[0].Term != 10 || past[49].Term != 59 {
		t.Errorf("%d transitions, %v", len(past), err)
	}
}

// Records of the previous release are read as they are.
func TestRecords(t *testing.T) {
	d := state.On(&state.Memory{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sent := state.Sent{Standbys: map[string]*state.SentStandby{"b": {LastRun: at, Datasets: map[string]*state.SentDataset{
		"tank/a": {Action: "current"}, "tank/b": {Action: state.SentConflict, Error: "it was written to"}}}}}
	received := state.Received{From: "a", At: at, Term: 2, Datasets: map[string]state.ReceivedDataset{"tank/a": {Snapshot: "s", GUID: 1<<63 + 1, TXG: 7}}}
	if err := errors.Join(d.Write(state.SentName, sent), d.Write(state.ReceivedName, received)); err != nil {
		t.Fatal(err)
	}
	gotSent, _, err := d.Sent()
	if conflicts := gotSent.Standbys["b"].Conflicts(); err != nil || len(conflicts) != 1 || conflicts["tank/b"] != "it was written to" {
		t.Errorf("conflicts %v, %v", conflicts, err)
	}
	if got, found, err := d.Received(); err != nil || !found || got.Datasets["tank/a"] != received.Datasets["tank/a"] {
		t.Errorf("received %+v, %v, %v", got, found, err)
	}
}
