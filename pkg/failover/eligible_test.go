package failover_test

import (
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

func TestAReturningNodeStaysAside(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Its plug is pulled; the other node takes over; it returns.
	f.Boot = "another"
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleActive, Writers: true, Term: 2, ActiveTerm: 2, NewestTerm: 2})
	f.Projects.Set("revived", true)
	if f.ShownEligible() && !f.JoinedAt().IsZero() {
		t.Error("eligible before it has joined in this boot")
	}
	joined := f.Joins(t)
	if joined.Eligible || !rules.Has(joined.Reasons, state.IneligibleReplica) {
		t.Errorf("joined as %+v, want one without a replica", joined)
	}
	f.Writes(t, false)
	if f.Datasets.Replays() != 1 {
		t.Errorf("the intent log were replayed %d times", f.Datasets.Replays())
	}
	if role := f.Is(t, state.RoleStandby); role.NewestTerm != 2 || role.ActiveTerm != 1 {
		t.Errorf("%+v", role)
	}
	// What the other node wrote has come.
	if err := f.State.Write("received", map[string]any{"term": 2}); err != nil {
		t.Fatal(err)
	}
	if err := f.Weigh(t.Context(), f.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !f.ShownEligible() {
		t.Error("not eligible, though it has received all")
	}
}

func TestHoldSurvivesAllButRelease(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	if err := f.Hold(t.Context(), "new disk", false); err != nil {
		t.Fatal(err)
	}
	f.Boot = "another"
	if joined := f.Joins(t); joined.Eligible || !rules.Has(joined.Reasons, state.IneligibleHold) {
		t.Errorf("%+v", joined)
	}
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err == nil {
		t.Error("promoted under a hold")
	}
	if _, err := f.Release(t.Context()); err != nil || !f.ShownEligible() {
		t.Errorf("still held: %v", err)
	}
}

func TestAnActiveNodeIsNotHeldByAccident(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Hold(t.Context(), "oops", false); err == nil {
		t.Fatal("held")
	}
	if !f.ShownEligible() {
		t.Error("not eligible any more")
	}
	if err := f.Hold(t.Context(), "meant", true); err != nil || f.ShownEligible() {
		t.Errorf("held by force: %v", err)
	}
}

// A node that has not joined in this boot cannot be made eligible.
func TestReleaseDoesNotReplaceJoining(t *testing.T) {
	f := newFake(t)
	if err := f.Hold(t.Context(), "x", false); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.ShownEligible() {
		t.Error("eligible without having joined")
	}
}

func TestJoinOnAnActiveNodeChangesNothing(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if joined := f.Joins(t); !joined.Already {
		t.Errorf("%+v", joined)
	}
	f.Writes(t, true)
	f.Is(t, state.RoleActive)
}

// After a boot the wall clock often jumps, once it is synchronised. A wait is as long
// as configured, and no longer.
func TestAClockThatJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		f := newFake(t)
		f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, ActiveTerm: 5, NewestTerm: 5})
		f.Joins(t)
		f.Clock.Wall = func() time.Time { return time.Now().Add(jump) }
		if err := f.Weigh(t.Context(), f.AskAll(t.Context())); err != nil {
			t.Fatal(err)
		}
		if last, _, _ := f.State.Eligibility(); !rules.Has(last.Reasons, state.IneligibleWaiting) {
			t.Errorf("%s: it does not wait for the one that was active last: %v", jump, last.Reasons)
		}
		f.Config.Failover.JoinWait = 0
		if err := f.Weigh(t.Context(), f.AskAll(t.Context())); err != nil {
			t.Fatal(err)
		}
		if !f.ShownEligible() {
			t.Errorf("%s: it still waits", jump)
		}
	}

	f := newFake(t)
	f.Joins(t)
	if err := failover.LeaveAddress(f.Node, t.Context(), f.Config.Nodes[1]); err != nil {
		t.Fatal(err)
	}
	f.Clock.Wall = func() time.Time { return time.Now().Add(-time.Hour) }
	if err := f.Weigh(t.Context(), f.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !f.ShownEligible() {
		t.Error("the address is left to another node for an hour")
	}
}
