package failover

import (
	"testing"

	"github.com/understudy-ha/understudy/pkg/state"
)

// Both were promoted under the same term. The one that goes on takes a newer one:
// else both count as the one that was active last, and after a boot of both the
// other one might serve with older data.
func TestAStayEndsEqualTerms(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	role := f.is(t, state.RoleActive)
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleStandby, Term: role.Term, ActiveTerm: role.Term, NewestTerm: role.Term})
	if err := f.Stay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := f.is(t, state.RoleActive); now.Term != role.Term+1 || now.ActiveTerm != now.Term || now.NewestTerm != now.Term {
		t.Errorf("terms %d, %d, %d, want %d", now.Term, now.ActiveTerm, now.NewestTerm, role.Term+1)
	}
	if err := f.Stay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := f.is(t, state.RoleActive); now.Term != role.Term+1 {
		t.Errorf("again: term %d, want %d", now.Term, role.Term+1)
	}
}

func TestAnActiveNodeEndsEqualTerms(t *testing.T) {
	f := serving(t)
	role := f.is(t, state.RoleActive)
	said := []Answer{{Node: f.Config.Nodes[1], State: PeerState{Node: "b", Role: state.RoleFault, Term: role.Term, ActiveTerm: role.Term, NewestTerm: role.Term, Writers: true}}}
	if err := f.learn(said); err != nil {
		t.Fatal(err)
	}
	if now := f.is(t, state.RoleActive); now.Term != role.Term {
		t.Errorf("term %d though the other one may still write", now.Term)
	}
	said[0].State.Writers = false
	for range 2 {
		if err := f.learn(said); err != nil {
			t.Fatal(err)
		}
		if now := f.is(t, state.RoleActive); now.Term != role.Term+1 || now.ActiveTerm != now.Term || now.NewestTerm != now.Term {
			t.Errorf("terms %d, %d, %d, want %d", now.Term, now.ActiveTerm, now.NewestTerm, role.Term+1)
		}
	}
}
