package failover

import (
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// After a boot a clock often jumps, once it is known what time it is. What is waited
// for is waited for as long as it takes, and no longer.
func TestAClockThatJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		f := newFake(t)
		f.peers.set("b", PeerState{Node: "b", Role: state.RoleStandby, ActiveTerm: 5, NewestTerm: 5})
		f.joins(t)
		f.Now = func() time.Time { return time.Now().Add(jump) }
		if err := f.weigh(t.Context(), f.askAll(t.Context())); err != nil {
			t.Fatal(err)
		}
		if last, _, _ := f.State.Eligibility(); !has(last.Reasons, state.IneligibleWaiting) {
			t.Errorf("%s: it does not wait for the one that was active last: %v", jump, last.Reasons)
		}
		f.Config.Failover.JoinWait = 0
		if err := f.weigh(t.Context(), f.askAll(t.Context())); err != nil {
			t.Fatal(err)
		}
		if !state.Shown(f.Config.RunDir) {
			t.Errorf("%s: it still waits", jump)
		}
	}

	f := newFake(t)
	f.joins(t)
	if err := f.letGo(t.Context(), f.Config.Nodes[1]); err != nil {
		t.Fatal(err)
	}
	f.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	if err := f.weigh(t.Context(), f.askAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !state.Shown(f.Config.RunDir) {
		t.Error("the address is left to another node for an hour")
	}
}
