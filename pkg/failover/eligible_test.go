package failover

import (
	"slices"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

func kinds(reasons []state.Ineligible) []string {
	var kinds []string
	for _, r := range reasons {
		kinds = append(kinds, r.Kind)
	}
	return kinds
}

func TestWhoMayHoldTheAddress(t *testing.T) {
	now := time.Now()
	self := func(active, newest uint64) state.RoleFile {
		return state.RoleFile{ActiveTerm: active, NewestTerm: newest}
	}
	active := PeerState{Node: "b", Role: state.RoleActive, Writers: true, ActiveTerm: 5, NewestTerm: 5}
	standby := PeerState{Node: "b", Role: state.RoleStandby, ActiveTerm: 5, NewestTerm: 5}
	boot := []string{state.IneligibleBoot}
	for _, c := range []struct {
		name string
		s    situation
		last []string
		want []string
	}{
		{"a pair that never had an active node, the first", situation{Highest: true, Silent: []string{"b"}}, boot, nil},
		{"a pair that never had an active node, the second", situation{Silent: []string{"a"}}, boot, []string{state.IneligibleWaiting}},
		{"the wait is over", situation{Silent: []string{"a"}, Joined: now.Add(-time.Hour)}, boot, nil},
		{"active last, the other is down", situation{Self: self(5, 5), Silent: []string{"b"}}, boot, nil},
		{"active once, but a newer term was heard of", situation{Self: self(4, 5), Silent: []string{"b"}}, boot, []string{state.IneligibleWaiting}},
		{"active last, a promotion of the other came to nothing", situation{Self: self(4, 5), Peers: []PeerState{{Node: "b", NewestTerm: 5}}}, boot, nil},
		{"the other was active last", situation{Self: self(4, 5), Highest: true, Peers: []PeerState{standby}}, boot, []string{state.IneligibleWaiting}},
		{"the other is active, compose only", situation{Self: self(4, 4), Peers: []PeerState{active}}, boot, nil},
		{"the other is active, all its data is here", situation{Self: self(4, 4), Data: true, Received: 5, Peers: []PeerState{active}}, boot, nil},
		{"the other is active since, nothing has come", situation{Self: self(4, 4), Data: true, Received: 3, Peers: []PeerState{active}}, boot, []string{state.IneligibleReplica}},
		{"both were active, and the other one goes on under an older term", situation{Self: self(6, 6), Data: true, Received: 5, Peers: []PeerState{active}}, nil, []string{state.IneligibleReplica}},
		{"a fresh standby", situation{Data: true, Peers: []PeerState{active}}, boot, []string{state.IneligibleReplica}},
		{"an old replica stays one when the active node dies", situation{Self: self(4, 5), Data: true, Received: 3, Silent: []string{"b"}, Joined: now.Add(-time.Hour)},
			[]string{state.IneligibleReplica}, []string{state.IneligibleReplica}},
		{"a replica of this term is enough after the active node took another", situation{Self: self(2, 3), Data: true, Received: 3, Peers: []PeerState{active}}, nil, nil},
		{"the active node stops: no waiting as after a boot", situation{Data: true, Received: 5, Peers: []PeerState{standby}}, nil, nil},
		{"cut off", situation{Self: self(5, 5), CutOff: true, Silent: []string{"b"}}, []string{state.IneligibleRefused}, []string{state.IneligibleRefused}},
		{"cut off no more", situation{Self: self(5, 5), Silent: []string{"b"}}, []string{state.IneligibleRefused}, nil},
		{"the other still writes", situation{Self: self(4, 5), Peers: []PeerState{{Node: "b", Role: state.RoleFault, Writers: true, ActiveTerm: 5}}, Joined: now.Add(-time.Hour)},
			[]string{state.IneligibleRefused}, []string{state.IneligibleRefused}},
	} {
		c.s.Now, c.s.Wait = now, time.Minute
		if c.s.Joined.IsZero() {
			c.s.Joined = now
		}
		var last []state.Ineligible
		for _, kind := range c.last {
			last = append(last, state.Ineligible{Kind: kind})
		}
		if got := kinds(passing(c.s, last)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAReturningNodeStaysAside(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Its plug is pulled; the other node takes over; it returns.
	f.Boot = "another"
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleActive, Writers: true, Term: 2, ActiveTerm: 2, NewestTerm: 2})
	f.services.set("revived", true)
	if state.Shown(f.Config.RunDir) && !f.joinedAt().IsZero() {
		t.Error("eligible before it has joined in this boot")
	}
	joined := f.joins(t)
	if joined.Eligible || !has(joined.Reasons, state.IneligibleReplica) {
		t.Errorf("joined as %+v, want one without a replica", joined)
	}
	f.writes(t, false)
	if f.data.replayed != 1 {
		t.Errorf("the intent log were replayed %d times", f.data.replayed)
	}
	if role := f.is(t, state.RoleStandby); role.NewestTerm != 2 || role.ActiveTerm != 1 {
		t.Errorf("%+v", role)
	}
	// What the other node wrote has come.
	if err := f.State.Write("received", map[string]any{"term": 2}); err != nil {
		t.Fatal(err)
	}
	if err := f.weigh(t.Context(), f.askAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !state.Shown(f.Config.RunDir) {
		t.Error("not eligible, though it has received all")
	}
}

func TestHoldSurvivesAllButRelease(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	if err := f.Hold(t.Context(), "new disk", false); err != nil {
		t.Fatal(err)
	}
	f.Boot = "another"
	if joined := f.joins(t); joined.Eligible || !has(joined.Reasons, state.IneligibleHold) {
		t.Errorf("%+v", joined)
	}
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err == nil {
		t.Error("promoted under a hold")
	}
	if _, err := f.Release(t.Context()); err != nil || !state.Shown(f.Config.RunDir) {
		t.Errorf("still held: %v", err)
	}
}

func TestAnActiveNodeIsNotHeldByAccident(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Hold(t.Context(), "oops", false); err == nil {
		t.Fatal("held")
	}
	if !state.Shown(f.Config.RunDir) {
		t.Error("not eligible any more")
	}
	if err := f.Hold(t.Context(), "meant", true); err != nil || state.Shown(f.Config.RunDir) {
		t.Errorf("held by force: %v", err)
	}
}

// A node that has not joined in this boot can't be made eligible.
func TestReleaseDoesNotReplaceJoining(t *testing.T) {
	f := newFake(t)
	if err := f.Hold(t.Context(), "x", false); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state.Shown(f.Config.RunDir) {
		t.Error("eligible without having joined")
	}
}

func TestJoinOnAnActiveNodeChangesNothing(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if joined := f.joins(t); !joined.Already {
		t.Errorf("%+v", joined)
	}
	f.writes(t, true)
	f.is(t, state.RoleActive)
}
