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
	"github.com/understudy-ha/understudy/pkg/state"
)

// drilling is an active node whose peer takes over once the virtual IP is released,
// and hands back when asked.
func drilling(t *testing.T) *fake {
	t.Helper()
	f := serving(t)
	running := &rules.ServicesStatus{Projects: 3, Running: []string{"app", "db", "traefik"}}
	f.Pair.SetStatus(failover.Status{Services: running})
	f.Pair.With("b", func() (rules.PeerState, error) {
		p := rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true, Time: time.Now()}
		if role, err := f.State.Role(); err != nil || role.Role == state.RoleStandby {
			began := time.Now().Add(-2 * time.Second)
			p.Role, p.Term, p.ActiveTerm, p.NewestTerm = state.RoleActive, 2, 2, 2
			p.Transition = &state.Transition{To: state.RoleActive, Started: began, Ended: began.Add(time.Second)}
		}
		return p, nil
	})
	f.mover.HandBack = func(ctx context.Context, _ config.Node, dryRun bool) (Moved, error) {
		if dryRun {
			return Moved{Switched: Switched{From: "b", To: "a"}}, nil
		}
		// What b has is sent here first; this node notices.
		if err := f.State.Write("received", map[string]any{"term": 2}); err != nil {
			return Moved{}, err
		}
		if err := f.Weigh(ctx, f.AskAll(ctx)); err != nil {
			return Moved{}, err
		}
		f.Asks(t, state.RequestBackup) // as keepalived did when the address went
		f.Asks(t, state.RequestMaster)
		f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true})
		return Moved{Switched: Switched{From: "b", To: "a", Moved: true, Gap: 2}}, f.Reconcile(ctx)
	}
	return f
}

func TestDrillGoesThereAndBack(t *testing.T) {
	f := drilling(t)
	sent := 0
	f.sent = func() error { sent++; return nil }
	plan, err := f.mover.PlanDrill(t.Context(), "")
	if err != nil || plan.To != "b" || plan.Checks[len(plan.Checks)-1].Name != "way back" || sent != 0 {
		t.Fatalf("%+v, %v", plan, err)
	}
	var told []string
	d, err := f.mover.Drill(t.Context(), "", func(text string) { told = append(told, text) })
	if err != nil {
		t.Fatal(err)
	}
	f.Is(t, state.RoleActive)
	f.Writes(t, true)
	if d.Serving != "a" || d.There == nil || !d.There.Moved || d.Back == nil || d.Back.Gap != 2 || d.There.Times.Projects != 1 {
		t.Errorf("%+v", d)
	}
	// Ahead, the rest, and once more, so that b could take over again.
	if sent != 3 || len(told) != 3 {
		t.Errorf("sent %d times, told %q", sent, told)
	}
	past, err := f.mover.Drills()
	if err != nil || len(past) != 1 || past[0].Serving != "a" || past[0].Error != "" || past[0].Ended.Before(past[0].Started) {
		t.Errorf("%+v, %v", past, err)
	}
}

func TestADrillThatFailsSaysWhereTheServicesRun(t *testing.T) {
	for name, c := range map[string]struct {
		sabotage func(*fake)
		serving  string
		says     string
		role     state.Role
	}{
		"nothing can be sent": {func(f *fake) { f.sent = func() error { return errors.New("link cut") } }, "a", "link cut", state.RoleActive},
		"the failback": {func(f *fake) {
			f.mover.HandBack = func(context.Context, config.Node, bool) (Moved, error) { return Moved{}, errors.New("held") }
		}, "b", "failback: held", state.RoleStandby},
		"a project that does not start there": {func(f *fake) {
			f.Config.Services.StartTimeout = 300 * time.Millisecond
			f.Pair.SetStatus(failover.Status{Services: &rules.ServicesStatus{Projects: 3, Running: []string{"app", "traefik"}}})
		}, "b", "not running: db", state.RoleStandby},
	} {
		t.Run(name, func(t *testing.T) {
			f := drilling(t)
			c.sabotage(f)
			_, err := f.mover.Drill(t.Context(), "b", func(string) {})
			failed, ok := errors.AsType[*DrillError](err)
			if !ok || failed.Serving != c.serving || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.serving+" serves") {
				t.Fatalf("%v", err)
			}
			if (failed.Hint() == "") != (c.serving == "a") {
				t.Errorf("hint %q", failed.Hint())
			}
			f.Is(t, c.role)
			past, err := f.mover.Drills()
			if err != nil || len(past) != 1 || past[0].Serving != c.serving || !strings.Contains(past[0].Error, c.says) {
				t.Errorf("%+v, %v", past, err)
			}
		})
	}
}

func TestADrillWithoutAWayBackIsNotBegun(t *testing.T) {
	for name, back := range map[string]func() (Moved, error){
		"the peer can't ask": func() (Moved, error) {
			return Moved{Switched: Switched{Checks: []rules.Check{{Name: "answers", Node: "a", Text: "connection refused"}}}}, nil
		},
		"its gate is older": func() (Moved, error) { return Moved{}, errors.New("this key is not for that") },
	} {
		t.Run(name, func(t *testing.T) {
			f := drilling(t)
			f.mover.HandBack = func(context.Context, config.Node, bool) (Moved, error) { return back() }
			_, err := f.mover.PlanDrill(t.Context(), "b")
			refused, ok := errors.AsType[*rules.NotReadyError](err)
			if !ok || refused.ExitCode() != 76 || refused.Failed[0].Name != "way back" {
				t.Errorf("%v", err)
			}
			if past, err := f.mover.Drills(); err != nil || len(past) > 0 {
				t.Errorf("%v, %v", past, err)
			}
		})
	}
}

// The node that is asked to hand over sends first: the one that asks may be active
// only once it has received.
func TestReturnSendsBeforeItLooks(t *testing.T) {
	f := serving(t)
	sent := 0
	f.sent = func() error { sent++; return nil }
	f.Pair.With("b", func() (rules.PeerState, error) {
		p := rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: sent > 0, Time: time.Now()}
		if role, err := f.State.Role(); err != nil || role.Role == state.RoleStandby {
			p.Role, p.Term, p.ActiveTerm, p.NewestTerm = state.RoleActive, 2, 2, 2
		}
		return p, nil
	})
	if looked, err := f.mover.Return(t.Context(), "b", true); err != nil || len(rules.Failures(looked.Checks)) == 0 || sent != 0 {
		t.Fatalf("%+v, %v", looked, err)
	}
	moved, err := f.mover.Return(t.Context(), "b", false)
	if err != nil || !moved.Moved || moved.To != "b" || sent < 2 {
		t.Errorf("%+v, sent %d times, %v", moved, sent, err)
	}
	f.Is(t, state.RoleStandby)
}

func TestReturnDoesNotWaitForAPerson(t *testing.T) {
	f := serving(t)
	f.Config.Failover.PeerStop = time.Hour
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Reasons: []state.Ineligible{{Kind: state.IneligibleHold, Text: "held: disks"}}})
	_, err := f.mover.Return(t.Context(), "b", false)
	if _, ok := errors.AsType[*rules.NotReadyError](err); !ok || !strings.Contains(err.Error(), "held: disks") {
		t.Errorf("%v", err)
	}
	f.Is(t, state.RoleActive)
	f.Writes(t, true)
	if _, err := f.mover.Return(t.Context(), "nobody", false); err == nil {
		t.Error("it hands over to a node that is not there")
	}
}

func TestHistoryOfDrillsIsBounded(t *testing.T) {
	f := newFake(t)
	for i := range drillsLength + 5 {
		if err := f.mover.rememberDrill(Drill{From: "a", To: "b", Started: time.Unix(int64(i), 0)}); err != nil {
			t.Fatal(err)
		}
	}
	past, err := f.mover.Drills()
	if err != nil || len(past) != drillsLength || past[0].Started.Unix() != 5 {
		t.Errorf("%d, %v", len(past), err)
	}
}

func TestClocksThatMayBeEqualAreTakenForEqual(t *testing.T) {
	asked := time.Unix(100, 0)
	for theirs, want := range map[int64]time.Duration{100: 0, 101: 0, 102: 0, 90: -10 * time.Second, 112: 10 * time.Second} {
		if got := ahead(asked, asked.Add(2*time.Second), time.Unix(theirs, 0)); got != want {
			t.Errorf("%d: %s, want %s", theirs, got, want)
		}
	}
}
