package watch

import (
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

func TestTheWatcherAnswersIntents(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.watches(t)
	f.Asks(t, state.RequestMaster)
	f.VIP.Set(true, true)
	f.Becomes(t, state.RoleActive)
	f.Writes(t, true)
	f.Asks(t, state.RequestStop)
	f.VIP.Set(true, false)
	f.Becomes(t, state.RoleStandby)
	f.Writes(t, false)
}

// Everything of keepalived is killed: no hook runs, and the address stays.
func TestTheWatcherNoticesAKilledKeepalived(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.watches(t)
	f.VIP.Set(true, true)
	f.Asks(t, state.RequestMaster)
	f.Becomes(t, state.RoleActive)
	f.VIP.Set(false, true)
	f.Becomes(t, state.RoleStandby)
	f.Writes(t, false)
	if here, _ := f.VIP.Here(); here {
		t.Error("the address is still here")
	}
}

// Killed also while projects start: the promotion is not waited for.
func TestTheWatcherLooksAroundDuringATransition(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Datasets.Slow = time.Minute
	f.watches(t)
	f.VIP.Set(false, true)
	f.Asks(t, state.RequestMaster)
	f.Becomes(t, state.RoleStandby)
	f.Writes(t, false)
}

func TestTheWatcherStopsWhatComesBack(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.watches(t)
	f.Projects.Set("app", true)
	deadline := time.Now().Add(15 * time.Second)
	for len(f.Projects.Names()) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("still running")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Nothing tells an active node that another one was active meanwhile, but that one
// when it asks: it is asked at once, and not only within a minute.
func TestTheActiveNodeHearsOfANewerTerm(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.watches(t)
	f.Asks(t, state.RequestMaster)
	f.VIP.Set(true, true) // without it the guard demotes the node, on a slow machine before the end
	f.Becomes(t, state.RoleActive)
	term := f.Is(t, state.RoleActive).Term
	time.Sleep(lookEach + askAtOnce) // it has asked for having become active
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Term: term + 1, ActiveTerm: term + 1, NewestTerm: term + 1})
	began := time.Now()
	for _, newest := range []uint64{0, term, term + 1} {
		if err := f.Heard(newest); err != nil {
			t.Fatal(err)
		}
	}
	f.Awaits(t, "a newer term", func() bool { return f.Is(t, state.RoleActive).Term == term+2 })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("after %s", took)
	}
}

// Right after a partition both are active. keepalived ends that within a second: the
// node that keeps the virtual IP must not step down meanwhile.
func TestTwoActiveNodesAreLeftToKeepalivedFirst(t *testing.T) {
	f := serving(t)
	f.VIP.None = false
	f.VIP.Set(true, true)
	now := time.Now()
	f.Clock.Wall = func() time.Time { return now }
	w := New(f.Node)
	role := f.Is(t, state.RoleActive)
	rival := []rules.PeerState{{Node: "b", Role: state.RoleActive, Term: 2, ActiveTerm: 2}}
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
	now = now.Add(rules.ConflictAfter)
	rival[0].Role = state.RoleStandby
	if got := request(); got != state.RequestMaster || !w.both.IsZero() {
		t.Fatalf("the other one has given way: %s", got)
	}
	rival[0].Role = state.RoleActive
	request()
	now = now.Add(rules.ConflictAfter)
	if got := request(); got != state.RequestFault {
		t.Errorf("keepalived does not end it: %s", got)
	}
	if eligibility, _, _ := f.State.Eligibility(); !rules.Has(eligibility.Reasons, state.IneligibleConflict) {
		t.Error("it may still hold the address")
	}
}

// Received data makes a standby eligible at once, not some seconds later.
func TestTheWatcherLooksWhenSomethingWasReceived(t *testing.T) {
	f := newFake(t)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleActive, Writers: true, Term: 5, ActiveTerm: 5, NewestTerm: 5})
	f.Joins(t)
	if f.ShownEligible() {
		t.Fatal("eligible without data")
	}
	f.watches(t)
	deadline := time.Now().Add(20 * time.Second)
	for term := uint64(5); !f.ShownEligible(); time.Sleep(50 * time.Millisecond) {
		if err := f.State.Write("received", map[string]any{"term": term}); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("not eligible")
		}
	}
}
