package failover

import (
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

func TestTheWatcherAnswersIntents(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.watches(t)
	f.asks(t, state.RequestMaster)
	f.address.set(true, true)
	f.becomes(t, state.RoleActive)
	f.writes(t, true)
	f.asks(t, state.RequestStop)
	f.address.set(true, false)
	f.becomes(t, state.RoleStandby)
	f.writes(t, false)
}

// Everything of keepalived is killed: no hook runs, and the address stays.
func TestTheWatcherNoticesAKilledKeepalived(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.watches(t)
	f.address.set(true, true)
	f.asks(t, state.RequestMaster)
	f.becomes(t, state.RoleActive)
	f.address.set(false, true)
	f.becomes(t, state.RoleStandby)
	f.writes(t, false)
	if here, _ := f.address.Here(); here {
		t.Error("the address is still here")
	}
}

// Killed also while projects start: the promotion is not waited for.
func TestTheWatcherLooksAroundDuringATransition(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.data.slow = time.Minute
	f.watches(t)
	f.address.set(false, true)
	f.asks(t, state.RequestMaster)
	f.becomes(t, state.RoleStandby)
	f.writes(t, false)
}

func TestTheWatcherStopsWhatComesBack(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.watches(t)
	f.services.set("app", true)
	deadline := time.Now().Add(15 * time.Second)
	for len(f.services.names()) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("still running")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestTwoActiveNodes(t *testing.T) {
	now := time.Now()
	self := state.RoleFile{Term: 3, Since: now}
	for _, c := range []struct {
		name string
		peer PeerState
		want bool
	}{
		{"the peer's term is newer", PeerState{Node: "b", Term: 4}, true},
		{"the peer's term is older", PeerState{Node: "b", Term: 2}, false},
		{"the peer was active earlier", PeerState{Node: "b", Term: 3, Since: now.Add(-time.Second)}, true},
		{"the peer was active later", PeerState{Node: "b", Term: 3, Since: now.Add(time.Second)}, false},
		{"both at once", PeerState{Node: "b", Term: 3, Since: now}, false},
	} {
		if got := givesWay(self, "a", c.peer); got != c.want {
			t.Errorf("%s: gives way %v", c.name, got)
		}
		other := state.RoleFile{Term: c.peer.Term, Since: c.peer.Since}
		if got := givesWay(other, "b", PeerState{Node: "a", Term: self.Term, Since: self.Since}); got == c.want {
			t.Errorf("%s: both or neither give way", c.name)
		}
	}
}

// A partition is over: keepalived has left the address to this node, though the
// other one was active under a newer term. This one goes on, and its history is
// the pair's from then on.
func TestTheNodeThatGoesOnTakesANewerTerm(t *testing.T) {
	f := serving(t)
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleDemoting, Writers: true, Term: 2, ActiveTerm: 2, NewestTerm: 2})
	if err := f.learn(f.askAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if role := f.is(t, state.RoleActive); role.Term != 1 || role.NewestTerm != 2 {
		t.Errorf("while the other one still writes: %+v", role)
	}
	if open, err := f.unsettled(f.askAll(t.Context())); !open || err != nil {
		t.Errorf("it is not asked again soon: %v", err)
	}
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleStandby, Term: 2, ActiveTerm: 2, NewestTerm: 2})
	if err := f.learn(f.askAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if role := f.is(t, state.RoleActive); role.Term != 3 || role.ActiveTerm != 3 {
		t.Errorf("terms %d, %d, want 3", role.Term, role.ActiveTerm)
	}
	if open, err := f.unsettled(f.askAll(t.Context())); open || err != nil {
		t.Errorf("nothing is open any more: %v", err)
	}
	standby := newFake(t)
	standby.joins(t)
	for role, want := range map[state.Role]bool{state.RoleStandby: true, state.RoleActive: false} {
		standby.peers.set("b", PeerState{Node: "b", Role: role})
		if open, err := standby.unsettled(standby.askAll(t.Context())); open != want || err != nil {
			t.Errorf("a standby of a node that is %s: open %v, %v", role, open, err)
		}
	}
}

// Nothing tells an active node that another one was active meanwhile, but that one
// when it asks: it is asked at once, and not only within a minute.
func TestTheActiveNodeHearsOfANewerTerm(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.watches(t)
	f.asks(t, state.RequestMaster)
	f.becomes(t, state.RoleActive)
	term := f.is(t, state.RoleActive).Term
	time.Sleep(lookEach + askAtOnce) // it has asked for having become active
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleStandby, Term: term + 1, ActiveTerm: term + 1, NewestTerm: term + 1})
	began := time.Now()
	for _, newest := range []uint64{0, term, term + 1} {
		if err := f.Heard(newest); err != nil {
			t.Fatal(err)
		}
	}
	f.awaits(t, "a newer term", func() bool { return f.is(t, state.RoleActive).Term == term+2 })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("after %s", took)
	}
}

// Right after a partition both are active. keepalived ends that within a second:
// the node that keeps the address must not give way meanwhile as well.
func TestTwoActiveNodesAreLeftToKeepalivedFirst(t *testing.T) {
	f := serving(t)
	f.address.none, f.address.here = false, true
	now := time.Now()
	f.Now = func() time.Time { return now }
	w := &watcher{Node: f.Node}
	role := f.is(t, state.RoleActive)
	rival := []PeerState{{Node: "b", Role: state.RoleActive, Term: 2, ActiveTerm: 2}}
	request := func() state.RequestedRole {
		t.Helper()
		if err := w.settleConflict(t.Context(), role, rival); err != nil {
			t.Fatal(err)
		}
		request, _, err := f.State.Request()
		if err != nil {
			t.Fatal(err)
		}
		return request.Requested
	}
	if got := request(); got != state.RequestMaster {
		t.Fatalf("at once: %s", got)
	}
	now = now.Add(conflictAfter)
	rival[0].Role = state.RoleStandby
	if got := request(); got != state.RequestMaster || !w.both.IsZero() {
		t.Fatalf("the other one has given way: %s", got)
	}
	rival[0].Role = state.RoleActive
	request()
	now = now.Add(conflictAfter)
	if got := request(); got != state.RequestFault {
		t.Errorf("keepalived does not end it: %s", got)
	}
	if eligibility, _, _ := f.State.Eligibility(); !has(eligibility.Reasons, state.IneligibleConflict) {
		t.Error("it may still hold the address")
	}
}

// What has been received makes a standby eligible at once, not some seconds later.
func TestTheWatcherLooksWhenSomethingWasReceived(t *testing.T) {
	f := newFake(t)
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleActive, Writers: true, Term: 5, ActiveTerm: 5, NewestTerm: 5})
	f.joins(t)
	if state.Shown(f.Config.RunDir) {
		t.Fatal("eligible without data")
	}
	f.watches(t)
	deadline := time.Now().Add(20 * time.Second)
	for term := uint64(5); !state.Shown(f.Config.RunDir); time.Sleep(50 * time.Millisecond) {
		if err := f.State.Write("received", map[string]any{"term": term}); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("not eligible")
		}
	}
}

func TestJudge(t *testing.T) {
	start := time.Now()
	for _, c := range []struct {
		name string
		f    finding
		at   time.Duration // of a second look
		want verdict
	}{
		{"all is well", finding{Kept: true, Here: true, Requested: state.RequestMaster}, time.Hour, verdict{}},
		{"a standby", finding{Kept: true, Requested: state.RequestBackup}, time.Hour, verdict{}},
		{"a restart of keepalived", finding{Here: true, Requested: state.RequestMaster}, time.Second, verdict{}},
		{"killed", finding{Here: true, Requested: state.RequestMaster}, 2 * time.Second, verdict{Remove: true, Requested: state.RequestStop, Reason: "keepalived is gone"}},
		{"killed, and the address went", finding{Requested: state.RequestMaster}, 2 * time.Second, verdict{Requested: state.RequestStop, Reason: "keepalived is gone"}},
		{"a stale address on a standby", finding{Here: true, Requested: state.RequestBackup}, 2 * time.Second, verdict{Remove: true}},
		{"a stale address after a person's word", finding{Here: true, Requested: state.RequestStop, Own: true}, 2 * time.Second, verdict{Remove: true}},
		{"a lost hook of a backup", finding{Kept: true, Requested: state.RequestMaster}, 10 * time.Second, verdict{Requested: state.RequestBackup, Reason: "keepalived runs, and the floating address is not here"}},
		{"a lost hook of a master", finding{Kept: true, Here: true, Requested: state.RequestFault}, 3 * time.Second, verdict{Requested: state.RequestMaster, Reason: "keepalived runs, and the floating address is here"}},
		{"a switchover that was killed", finding{Kept: true, Here: true, Requested: state.RequestMaster, Idle: true}, 3 * time.Second, verdict{Requested: state.RequestMaster, Again: true, Reason: "the floating address is here, and nothing serves"}},
		{"a switchover under way", finding{Kept: true, Here: true, Requested: state.RequestMaster, Idle: true}, 2 * time.Second, verdict{}},
		{"a person without keepalived", finding{Requested: state.RequestMaster, Own: true}, time.Hour, verdict{}},
	} {
		var g guard
		if got := g.judge(c.f, start); got != (verdict{}) {
			t.Errorf("%s: at once %+v", c.name, got)
		}
		if got := g.judge(c.f, start.Add(c.at)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// A promotion that is turned round before it has made the node active leaves no
// history of its own; what was active has one.
func TestOnlyAPromotionThatCameToNothingIsUnmarked(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.address.set(true, true)
	f.data.slow = time.Minute
	f.watches(t)
	f.asks(t, state.RequestMaster)
	deadline := time.Now().Add(20 * time.Second)
	for role := (state.RoleFile{}); role.Role != state.RolePromoting; time.Sleep(10 * time.Millisecond) {
		var err error
		if role, err = f.State.Role(); err != nil || time.Now().After(deadline) {
			t.Fatal(role, err)
		}
	}
	f.asks(t, state.RequestBackup)
	f.address.set(true, false)
	f.becomes(t, state.RoleStandby)
	if f.data.unmarks() != 1 {
		t.Errorf("unmarked %d times", f.data.unmarks())
	}
	f.data.slow = 0
	f.address.set(true, true)
	f.asks(t, state.RequestMaster)
	f.becomes(t, state.RoleActive)
	f.asks(t, state.RequestBackup)
	f.address.set(true, false)
	f.becomes(t, state.RoleStandby)
	if f.data.unmarks() != 1 {
		t.Errorf("after it was active, unmarked %d times", f.data.unmarks())
	}
}
