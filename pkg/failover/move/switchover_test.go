package move

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/state"
)

func TestSwitchover(t *testing.T) {
	f := serving(t)
	var sent []string
	f.sent = func() error {
		role, err := f.State.Role()
		if err != nil {
			t.Error(err)
		}
		what := "ahead"
		if role.HandsOver() {
			what = "the rest"
			if f.Datasets.Writable() || len(f.Projects.Names()) > 0 {
				t.Error("the rest is sent while something can still be written")
			}
			if !f.ShownEligible() {
				t.Error("the address moves before the rest is sent")
			}
		}
		sent = append(sent, what)
		return nil
	}
	f.Pair.With("b", func() (rules.PeerState, error) {
		p := rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true}
		if !f.ShownEligible() { // the address has moved
			p.Role, p.Term, p.ActiveTerm, p.NewestTerm = state.RoleActive, 2, 2, 2
		}
		return p, nil
	})
	result, err := f.mover.Switchover(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(sent, ", "); got != "ahead, the rest" {
		t.Errorf("sent %s", got)
	}
	if !result.Moved || result.To != "b" {
		t.Errorf("%+v", result)
	}
	f.Is(t, state.RoleStandby)
	f.Writes(t, false)
}

func TestASwitchoverThatFailsStartsEverythingAgain(t *testing.T) {
	for name, sabotage := range map[string]func(*fake){
		"nothing can be sent": func(f *fake) { f.sent = func() error { return errors.New("link cut") } },
		"the rest can't be sent": func(f *fake) {
			f.sent = func() error {
				if role, _ := f.State.Role(); role.HandsOver() {
					return errors.New("link cut")
				}
				return nil
			}
		},
		"the services don't stop": func(f *fake) { f.Projects.StopErr = errors.New("link cut") },
		"the data is held":        func(f *fake) { f.Datasets.Busy = errors.New("link cut") },
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t)
			sabotage(f)
			_, err := f.mover.Switchover(t.Context(), "b", false)
			if err == nil || !strings.Contains(err.Error(), "link cut") {
				t.Fatalf("error %v", err)
			}
			f.Is(t, state.RoleActive)
			f.Writes(t, true)
			if undone, ok := errors.AsType[*failover.UndoneError](err); name != "nothing can be sent" && (!ok || undone.ExitCode() != 1 || undone.Hint() == "") {
				t.Errorf("error %#v", err)
			}
			if !f.ShownEligible() {
				t.Error("the address was given away")
			}
		})
	}
}

func TestASwitchoverNeedsAReadyPeer(t *testing.T) {
	for name, c := range map[string]struct {
		peer rules.PeerState
		rest failover.Status
		want string
		hint string
	}{
		"not eligible": {peer: rules.PeerState{Node: "b", Role: state.RoleStandby, Reasons: []state.Ineligible{{Text: "held: new disk"}}}, want: "new disk"},
		"in fault":     {peer: rules.PeerState{Node: "b", Role: state.RoleFault, Eligible: true}, want: "fault"},
		"no image": {peer: rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true},
			rest: failover.Status{Services: &rules.ServicesStatus{MissingImages: []string{"app:1"}}}, want: "app:1"},
		"in fault, since the engine is dead": {peer: rules.PeerState{Node: "b", Role: state.RoleFault, Eligible: true},
			rest: failover.Status{Services: &rules.ServicesStatus{Projects: 3, Error: "no engine"}}, want: "no engine", hint: "Docker Engine"},
		"a conflict": {peer: rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true},
			rest: failover.Status{Data: &rules.DataStatus{}, Replication: &rules.ReplicationStatus{Received: &rules.Received{From: "a", Conflicts: map[string]string{"tank/app": "both"}}}}, want: "tank/app", hint: "rejoin"},
		"no dataset": {peer: rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true},
			rest: failover.Status{Data: &rules.DataStatus{Missing: []string{"tank/app"}}}, want: "tank/app"},
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t)
			f.Pair.Set("b", c.peer)
			f.Pair.SetStatus(c.rest)
			_, err := f.mover.Switchover(t.Context(), "b", false)
			if e, refused := errors.AsType[*rules.NotReadyError](err); !refused || !strings.Contains(err.Error(), c.want) || !strings.Contains(e.Hint(), c.hint) {
				t.Fatalf("error %#v", err)
			}
			f.Is(t, state.RoleActive)
			f.Writes(t, true)
		})
	}
}

// The successor fails: this node may have the address again.
func TestASuccessorThatFails(t *testing.T) {
	f := serving(t)
	f.Pair.With("b", func() (rules.PeerState, error) {
		p := rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true}
		if !f.ShownEligible() {
			p.Role, p.Eligible, p.Reasons = state.RoleFault, false, []state.Ineligible{{Kind: state.IneligiblePromotion, Text: "no project could be started"}}
		}
		return p, nil
	})
	_, err := f.mover.Switchover(t.Context(), "b", false)
	if err == nil || !strings.Contains(err.Error(), "no project could be started") {
		t.Fatalf("error %v", err)
	}
	if !f.ShownEligible() {
		t.Error("this node may not have the address again")
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	f := serving(t)
	f.sent = func() error { t.Error("sent"); return nil }
	result, err := f.mover.Switchover(t.Context(), "b", true)
	if err != nil || result.Moved || len(result.Checks) == 0 {
		t.Errorf("%+v, %v", result, err)
	}
	f.Is(t, state.RoleActive)
}

// Killed in the middle of a switchover, the node is found on its way down, with
// keepalived's request that it be active.
func TestAKilledSwitchoverIsTakenBack(t *testing.T) {
	f := serving(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.sent = func() error {
		if role, _ := f.State.Role(); role.HandsOver() {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	role := f.Is(t, state.RoleActive)
	role.Role = state.RoleDemoting
	role.Transition = &state.Transition{From: state.RoleActive, To: state.RoleStandby, Handover: "b", Started: time.Now()}
	if err := f.State.SetRole(role); err != nil {
		t.Fatal(err)
	}
	f.Projects.Stop(t.Context(), nil, 0)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Is(t, state.RoleActive)
	f.Writes(t, true)
}

// A switchover that is ended right after everything has been sent releases the virtual
// IP nevertheless. And an eligible standby that holds the virtual IP does not serve
// nothing for ever: the switchover was killed right then, or has reclaimed the virtual
// IP before keepalived knew.
func TestASwitchoverEndedAtItsLastMoment(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.VIP.Set(true, true)
	f.watches(t)
	f.Asks(t, state.RequestMaster)
	f.Becomes(t, state.RoleActive)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.sent = func() error {
		// Somebody else changes the eligibility right then.
		lock, err := f.State.Lock(self.EligibilityLock)
		if err != nil {
			return err
		}
		cancel()
		time.AfterFunc(100*time.Millisecond, func() { lock.Unlock() })
		return nil
	}
	if err := f.HandOver(ctx, f.Config.Nodes[1], func(context.Context) error { return f.sent() }); err != nil {
		t.Fatal(err)
	}
	f.Writes(t, false)
	if f.ShownEligible() {
		t.Error("the address was not given away")
	}
	if err := f.mover.reclaimAddress(context.Canceled); !f.ShownEligible() {
		t.Error("it may not have the address back:", err)
	}
	f.Becomes(t, state.RoleActive)
	f.Writes(t, true)
}

// A drain that fails once the services are stopped starts nothing again: keepalived is
// about to stop, and another node waits.
func TestADrainThatFails(t *testing.T) {
	for name, rest := range map[string]func(context.Context, context.CancelFunc) error{
		"all is sent":            func(context.Context, context.CancelFunc) error { return nil },
		"the rest can't be sent": func(context.Context, context.CancelFunc) error { return errors.New("link cut") },
		"the time is over": func(ctx context.Context, end context.CancelFunc) error {
			end()
			<-ctx.Done()
			return ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t)
			f.Projects.Order = nil
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f.mover.Send = func(ctx context.Context, _ string, _ time.Duration) error {
				if role, _ := f.State.Role(); role.HandsOver() {
					return rest(ctx, cancel)
				}
				return nil
			}
			f.Pair.With("b", func() (rules.PeerState, error) {
				p := rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true}
				if !f.ShownEligible() && name == "all is sent" {
					p.Role = state.RoleActive
				}
				return p, nil
			})
			_, err := f.mover.Drain(ctx, time.Minute)
			if (err == nil) != (name == "all is sent") {
				t.Fatalf("error %v", err)
			}
			f.Is(t, state.RoleStandby)
			f.Writes(t, false)
			if last, _, _ := f.State.Eligibility(); err != nil && !rules.Has(last.Reasons, state.IneligibleHandover) || len(f.Projects.Order) > 0 {
				t.Errorf("%v, started %v", last.Reasons, f.Projects.Order)
			}
		})
	}
}

// What takes too long to be sent ahead leaves everything as it is.
func TestADrainWithTooMuchToSend(t *testing.T) {
	f := serving(t)
	f.mover.Send = func(ctx context.Context, _ string, _ time.Duration) error {
		<-ctx.Done()
		return ctx.Err()
	}
	if _, err := f.mover.Drain(t.Context(), 200*time.Millisecond); err == nil || !strings.Contains(err.Error(), "nothing has been stopped") {
		t.Fatalf("error %v", err)
	}
	f.Is(t, state.RoleActive)
	f.Writes(t, true)
	if !f.ShownEligible() {
		t.Error("the address was given away")
	}
}

// Without a name, the first standby that would take over is handed over to.
func TestSuccessorOfThree(t *testing.T) {
	f := serving(t)
	f.Config.Nodes = append(f.Config.Nodes, config.Node{Name: "c", Address: "10.0.0.3", Priority: 80})
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Contends: true}) // not eligible
	f.Pair.Set("c", rules.PeerState{Node: "c", Role: state.RoleStandby, Eligible: true, Contends: true})
	if got := f.mover.choose(t.Context(), ""); got != "c" {
		t.Errorf("chose %q", got)
	}
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Contends: true, Eligible: true})
	if got := f.mover.choose(t.Context(), ""); got != "b" {
		t.Errorf("chose %q", got)
	}
	if got := f.mover.choose(t.Context(), "c"); got != "c" {
		t.Errorf("chose %q", got)
	}
}
