package failover

import (
	"errors"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
)

func TestNewerReplica(t *testing.T) {
	of := func(term uint64, datasets map[string]ReplicaOf) *Replica { return &Replica{term, datasets} }
	older := of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"a", 10}})
	for _, c := range []struct {
		name string
		r    *Replica
		want bool
	}{
		{"the same", of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"a", 10}}), false},
		{"one dataset is newer", of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"a", 11}}), true},
		{"one is newer, one older", of(3, map[string]ReplicaOf{"tank": {"a", 9}, "tank/x": {"a", 11}}), false},
		{"one is missing", of(3, map[string]ReplicaOf{"tank": {"a", 12}}), false},
		{"one more", of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"a", 10}, "tank/y": {"a", 3}}), true},
		{"another sender's can't be compared", of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"b", 99}}), false},
		{"a newer term", of(4, map[string]ReplicaOf{"tank": {"b", 1}}), true},
		{"an older term", of(2, map[string]ReplicaOf{"tank": {"a", 99}, "tank/x": {"a", 99}}), false},
		{"by an older program", of(3, map[string]ReplicaOf{"tank": {}, "tank/x": {}}), false},
		{"nothing", nil, false},
	} {
		if got := c.r.newerThan(older); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.want && older.newerThan(c.r) {
			t.Errorf("%s: each is newer than the other", c.name)
		}
	}
	if !older.newerThan(nil) {
		t.Error("something is not newer than nothing")
	}
}

// threeNodes is node b of three: a was active and is down, c is a standby.
func threeNodes(t *testing.T) *fake {
	t.Helper()
	f := newFake(t)
	f.Config.Nodes = append(f.Config.Nodes, config.Node{Name: "c", Address: "10.0.0.3", Priority: 80})
	f.Self = f.Config.Nodes[1]
	f.peers.set("a", PeerState{Node: "a", Role: state.RoleActive, Writers: true, Term: 3, ActiveTerm: 3, NewestTerm: 3})
	f.peers.set("c", standbyC(10))
	f.receives(t, 10)
	if joined := f.joins(t); !joined.Eligible {
		t.Fatalf("%+v", joined)
	}
	f.peers.down("a")
	return f
}

func standbyC(txg uint64) PeerState {
	return PeerState{Node: "c", Role: state.RoleStandby, Eligible: true, Contends: true, NewestTerm: 3,
		Replica: &Replica{3, map[string]ReplicaOf{"tank/app": {"a", txg}}}}
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
		peer   func(*PeerState)
		yields bool
	}{
		{"as new as this one", func(*PeerState) {}, false},
		{"newer", func(p *PeerState) { *p = standbyC(11) }, true},
		{"older", func(p *PeerState) { *p = standbyC(9) }, false},
		{"newer, but held", func(p *PeerState) { *p = standbyC(11); p.Eligible = false }, false},
		{"newer, but without keepalived", func(p *PeerState) { *p = standbyC(11); p.Contends = false }, false},
		{"newer, but in fault", func(p *PeerState) { *p = standbyC(11); p.Role = state.RoleFault }, false},
		{"newer, but with a tail of its own", func(p *PeerState) { *p = standbyC(11); p.ActiveTerm = 4 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := threeNodes(t)
			peer := standbyC(10)
			c.peer(&peer)
			f.peers.set("c", peer)
			f.asks(t, state.RequestMaster)
			err := f.Reconcile(t.Context())
			refused, _ := errors.AsType[*RefusedError](err)
			if got := refused != nil && refused.Kind == state.IneligibleYield; got != c.yields || !c.yields && err != nil {
				t.Fatalf("yields %v: %v", got, err)
			}
			if state.Shown(f.Config.RunDir) == c.yields {
				t.Error("the address does not follow")
			}
			f.writes(t, !c.yields)
		})
	}
}

// A node that has left the address to one that did not take it serves itself.
func TestYieldingEnds(t *testing.T) {
	f := threeNodes(t)
	f.peers.set("c", standbyC(11))
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err == nil {
		t.Fatal("took over with older data")
	}
	weigh := func() {
		t.Helper()
		if err := f.weigh(t.Context(), f.askAll(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	weigh()
	if state.Shown(f.Config.RunDir) {
		t.Fatal("eligible again at once")
	}
	f.asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Now = func() time.Time { return time.Now().Add(yieldFor) }
	weigh()
	if !state.Shown(f.Config.RunDir) {
		t.Fatal("not eligible again, though nobody serves")
	}
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.writes(t, true)
}

// With another one active, nothing keeps this one from being its standby.
func TestYieldingEndsWithTheOther(t *testing.T) {
	f := threeNodes(t)
	f.peers.set("c", standbyC(11))
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err == nil {
		t.Fatal("took over with older data")
	}
	f.peers.set("c", PeerState{Node: "c", Role: state.RoleActive, Writers: true, Term: 4, ActiveTerm: 4, NewestTerm: 4})
	if err := f.weigh(t.Context(), f.askAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !state.Shown(f.Config.RunDir) {
		e, _, _ := f.State.Eligibility()
		t.Errorf("not eligible: %+v", e)
	}
}

// While a node hands over to another, a third one leaves the address alone, how
// often ever it gets it.
func TestAHandoverIsNotTakenByAThird(t *testing.T) {
	f := threeNodes(t)
	f.peers.set("a", PeerState{Node: "a", Role: state.RoleStandby, Term: 3, ActiveTerm: 3, NewestTerm: 3,
		Reasons: []state.Ineligible{{Kind: state.IneligibleHandover, Node: "c"}}})
	for range 2 {
		f.asks(t, state.RequestMaster)
		err := f.Reconcile(t.Context())
		if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Kind != state.IneligibleYield {
			t.Fatalf("%v", err)
		}
		if _, err := f.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.asks(t, state.RequestBackup)
		if err := f.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.writes(t, false)
}

// Without a name, the first standby that would take over is handed over to.
func TestSuccessorOfThree(t *testing.T) {
	f := serving(t)
	f.Config.Nodes = append(f.Config.Nodes, config.Node{Name: "c", Address: "10.0.0.3", Priority: 80})
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleStandby, Contends: true}) // not eligible
	f.peers.set("c", standbyC(1))
	if got := f.choose(t.Context(), ""); got != "c" {
		t.Errorf("chose %q", got)
	}
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleStandby, Contends: true, Eligible: true})
	if got := f.choose(t.Context(), ""); got != "b" {
		t.Errorf("chose %q", got)
	}
	if got := f.choose(t.Context(), "c"); got != "c" {
		t.Errorf("chose %q", got)
	}
}
