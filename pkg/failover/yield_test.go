package failover_test

import (
	"errors"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// threeNodes is node b of three: a was active and is down, c is a standby.
func threeNodes(t *testing.T) *fake {
	t.Helper()
	f := newFake(t)
	f.Config.Nodes = append(f.Config.Nodes, config.Node{Name: "c", Address: "10.0.0.3", Priority: 80})
	f.Self = f.Config.Nodes[1]
	f.Pair.Set("a", rules.PeerState{Node: "a", Role: state.RoleActive, Writers: true, Term: 3, ActiveTerm: 3, NewestTerm: 3})
	f.Pair.Set("c", standbyC(10))
	f.receives(t, 10)
	if joined := f.Joins(t); !joined.Eligible {
		t.Fatalf("%+v", joined)
	}
	f.Pair.Down("a")
	return f
}

func standbyC(txg uint64) rules.PeerState {
	return rules.PeerState{Node: "c", Role: state.RoleStandby, Eligible: true, Contends: true, NewestTerm: 3,
		Replica: &rules.Replica{Term: 3, Datasets: map[string]rules.ReplicaOf{"tank/app": {From: "a", TXG: txg}}}}
}

func (f *fake) receives(t *testing.T, txg uint64) {
	t.Helper()
	err := f.State.Write("received", map[string]any{"term": 3, "from": "a", "datasets": map[string]any{"tank/app": map[string]any{"from": "a", "txg": txg}}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheFresherStandbyTakesOver(t *testing.T) {
	for _, c := range []struct {
		name   string
		peer   func(*rules.PeerState)
		yields bool
	}{
		{"as new as this one", func(*rules.PeerState) {}, false},
		{"newer", func(p *rules.PeerState) { *p = standbyC(11) }, true},
		{"older", func(p *rules.PeerState) { *p = standbyC(9) }, false},
		{"newer, but held", func(p *rules.PeerState) { *p = standbyC(11); p.Eligible = false }, false},
		{"newer, but without keepalived", func(p *rules.PeerState) { *p = standbyC(11); p.Contends = false }, false},
		{"newer, but in fault", func(p *rules.PeerState) { *p = standbyC(11); p.Role = state.RoleFault }, false},
		{"newer, but with a tail of its own", func(p *rules.PeerState) { *p = standbyC(11); p.ActiveTerm = 4 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := threeNodes(t)
			peer := standbyC(10)
			c.peer(&peer)
			f.Pair.Set("c", peer)
			f.Asks(t, state.RequestMaster)
			err := f.Reconcile(t.Context())
			refused, _ := errors.AsType[*rules.RefusedError](err)
			if got := refused != nil && refused.Kind == state.IneligibleYield; got != c.yields || !c.yields && err != nil {
				t.Fatalf("yields %v: %v", got, err)
			}
			if f.ShownEligible() == c.yields {
				t.Error("the address does not follow")
			}
			f.Writes(t, !c.yields)
		})
	}
}

// A node that has left the address to one that did not take it serves itself.
func TestYieldingEnds(t *testing.T) {
	f := threeNodes(t)
	f.Pair.Set("c", standbyC(11))
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err == nil {
		t.Fatal("took over with older data")
	}
	weigh := func() {
		t.Helper()
		if err := f.Weigh(t.Context(), f.AskAll(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	weigh()
	if f.ShownEligible() {
		t.Fatal("eligible again at once")
	}
	f.Asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Clock.Wall = func() time.Time { return time.Now().Add(rules.YieldFor) }
	weigh()
	if !f.ShownEligible() {
		t.Fatal("not eligible again, though nobody serves")
	}
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Writes(t, true)
}

// With another node active, nothing keeps this node from being its standby.
func TestYieldingEndsWithTheOther(t *testing.T) {
	f := threeNodes(t)
	f.Pair.Set("c", standbyC(11))
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err == nil {
		t.Fatal("took over with older data")
	}
	f.Pair.Set("c", rules.PeerState{Node: "c", Role: state.RoleActive, Writers: true, Term: 4, ActiveTerm: 4, NewestTerm: 4})
	if err := f.Weigh(t.Context(), f.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !f.ShownEligible() {
		e, _, _ := f.State.Eligibility()
		t.Errorf("not eligible: %+v", e)
	}
}

// While a node hands over to another, a third one leaves the address alone, how
// often ever it gets it.
func TestAHandoverIsNotTakenByAThird(t *testing.T) {
	f := threeNodes(t)
	f.Pair.Set("a", rules.PeerState{Node: "a", Role: state.RoleStandby, Term: 3, ActiveTerm: 3, NewestTerm: 3,
		Reasons: []state.Ineligible{{Kind: state.IneligibleHandover, Node: "c"}}})
	for range 2 {
		f.Asks(t, state.RequestMaster)
		err := f.Reconcile(t.Context())
		if refused, ok := errors.AsType[*rules.RefusedError](err); !ok || refused.Kind != state.IneligibleYield {
			t.Fatalf("%v", err)
		}
		if _, err := f.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Asks(t, state.RequestBackup)
		if err := f.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.Writes(t, false)
}
