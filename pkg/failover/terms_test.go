package failover_test

import (
	"testing"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

func TestAnActiveNodeEndsEqualTerms(t *testing.T) {
	f := serving(t)
	role := f.Is(t, state.RoleActive)
	said := []failover.Answer{{Node: f.Config.Nodes[1], State: rules.PeerState{Node: "b", Role: state.RoleFault, Term: role.Term, ActiveTerm: role.Term, NewestTerm: role.Term, Writers: true}}}
	if err := f.Learn(said); err != nil {
		t.Fatal(err)
	}
	if now := f.Is(t, state.RoleActive); now.Term != role.Term {
		t.Errorf("term %d though the other one may still write", now.Term)
	}
	said[0].State.Writers = false
	for range 2 {
		if err := f.Learn(said); err != nil {
			t.Fatal(err)
		}
		if now := f.Is(t, state.RoleActive); now.Term != role.Term+1 || now.ActiveTerm != now.Term || now.NewestTerm != now.Term {
			t.Errorf("terms %d, %d, %d, want %d", now.Term, now.ActiveTerm, now.NewestTerm, role.Term+1)
		}
	}
}

// A partition is over: keepalived has left the virtual IP to this node, though its
// peer was active under a newer term. This node continues, and its history is that of
// the pair from then on.
func TestTheNodeThatGoesOnTakesANewerTerm(t *testing.T) {
	f := serving(t)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleDemoting, Writers: true, Term: 2, ActiveTerm: 2, NewestTerm: 2})
	if err := f.Learn(f.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if role := f.Is(t, state.RoleActive); role.Term != 1 || role.NewestTerm != 2 {
		t.Errorf("while the other one still writes: %+v", role)
	}
	if open, err := unsettled(t, f); !open || err != nil {
		t.Errorf("it is not asked again soon: %v", err)
	}
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Term: 2, ActiveTerm: 2, NewestTerm: 2})
	if err := f.Learn(f.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if role := f.Is(t, state.RoleActive); role.Term != 3 || role.ActiveTerm != 3 {
		t.Errorf("terms %d, %d, want 3", role.Term, role.ActiveTerm)
	}
	if open, err := unsettled(t, f); open || err != nil {
		t.Errorf("nothing is open any more: %v", err)
	}
	standby := newFake(t)
	standby.Joins(t)
	for role, want := range map[state.Role]bool{state.RoleStandby: true, state.RoleActive: false} {
		standby.Pair.Set("b", rules.PeerState{Node: "b", Role: role})
		if open, err := unsettled(t, standby); open != want || err != nil {
			t.Errorf("a standby of a node that is %s: open %v, %v", role, open, err)
		}
	}
}

// unsettled reports whether the others have to be asked again soon.
func unsettled(t *testing.T, f *fake) (bool, error) {
	t.Helper()
	role, err := f.State.Role()
	peers, silent := failover.Answered(f.AskAll(t.Context()))
	return rules.Unsettled(role, f.Boot, peers, silent), err
}
