package failover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

func TestTakeOverAndGiveBack(t *testing.T) {
	f := newFake(t)
	if joined := f.Joins(t); !joined.Eligible {
		t.Fatalf("not eligible: %v", joined.Reasons)
	}
	f.Writes(t, false)
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	role := f.Is(t, state.RoleActive)
	f.Writes(t, true)
	if role.Term != 1 || role.ActiveTerm != 1 || role.Transition.Outcome != state.OutcomeDone {
		t.Errorf("%+v", role)
	}
	if f.Projects.Order[0] != "traefik" {
		t.Errorf("started in the order %v, want traefik first", f.Projects.Order)
	}
	f.Asks(t, state.RequestFault)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Is(t, state.RoleFault)
	f.Writes(t, false)
	f.Asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Is(t, state.RoleStandby)
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if role := f.Is(t, state.RoleActive); role.Term != 2 {
		t.Errorf("term %d, want 2", role.Term)
	}
	history, err := f.State.History()
	if err != nil || len(history) != 5 {
		t.Errorf("%d transitions in the history, %v", len(history), err)
	}
}

// The peer's term counts, also when only the data that came tells of it.
func TestTheTermIsNewerThanAnySeen(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleFault, NewestTerm: 7})
	if err := f.State.Write("received", map[string]any{"term": 9}); err != nil {
		t.Fatal(err)
	}
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if role := f.Is(t, state.RoleActive); role.Term != 10 {
		t.Errorf("term %d, want 10", role.Term)
	}
}

// Flaps while projects start slowly: the newest request wins, in the middle.
func TestANewerIntentTurnsATransitionRound(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	starting := make(chan struct{}, 10)
	f.Projects.Starting["db"] = func(ctx context.Context) error {
		starting <- struct{}{}
		return clock.Pause(ctx, 500*time.Millisecond)
	}
	f.watches(t)
	for _, request := range []state.RequestedRole{state.RequestMaster, state.RequestBackup, state.RequestMaster, state.RequestFault} {
		f.Asks(t, request)
		if request == state.RequestMaster {
			<-starting
		}
	}
	f.Becomes(t, state.RoleFault)
	f.Writes(t, false)
}

// What the engine is about to stop still counts as running: it is stopped for good
// before anything is started.
func TestAStopThatWasTurnedRoundIsFinishedFirst(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	request := f.Asks(t, state.RequestMaster)
	role := f.Is(t, state.RoleStandby)
	role.Role, role.RequestSeq = state.RoleDemoting, request.Seq-1
	if err := f.State.SetRole(role); err != nil {
		t.Fatal(err)
	}
	f.Projects.Set("traefik", true)
	stopped := 0
	f.Projects.Stopping = func(context.Context) {
		if stopped++; len(f.Projects.Order) > 0 {
			t.Errorf("stopped after %v were started", f.Projects.Order)
		}
	}
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Is(t, state.RoleActive)
	if stopped == 0 || len(f.Projects.Names()) != 3 {
		t.Errorf("stopped %d times, running %v", stopped, f.Projects.Names())
	}
}

func TestAKilledTransitionIsFinished(t *testing.T) {
	for _, c := range []struct {
		left    state.Role
		request state.RequestedRole
		want    state.Role
	}{
		{state.RolePromoting, state.RequestMaster, state.RoleActive},
		{state.RolePromoting, state.RequestBackup, state.RoleStandby},
		{state.RoleDemoting, state.RequestStop, state.RoleStandby},
		{state.RoleDemoting, state.RequestMaster, state.RoleActive},
	} {
		f := newFake(t)
		f.Joins(t)
		f.Projects.Set("stray", true)
		request := f.Asks(t, c.request)
		role, err := f.State.Role()
		if err != nil {
			t.Fatal(err)
		}
		role.Role, role.RequestSeq = c.left, request.Seq
		if err := f.State.SetRole(role); err != nil {
			t.Fatal(err)
		}
		if err := f.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Is(t, c.want)
		f.Writes(t, c.want == state.RoleActive)
	}
}

func TestIntentsOfAnEarlierBootAskForNothing(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Asks(t, state.RequestMaster)
	f.Boot = "another"
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Is(t, state.RoleStandby)
}

// refused checks that nothing was touched and the virtual IP is released.
func refused(t *testing.T, f *fake, kind, text string) {
	t.Helper()
	err := f.Reconcile(t.Context())
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want one with %q", err, text)
	}
	f.Is(t, state.RoleFault)
	f.Writes(t, false)
	e, _, err := f.State.Eligibility()
	if err != nil || e.Eligible || f.ShownEligible() || !rules.Has(e.Reasons, kind) {
		t.Errorf("eligibility %+v, %v, want a reason %s", e, err, kind)
	}
}

func TestNoPromotionBesideAnActiveNode(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleActive, Requested: state.RequestMaster, HoldsAddress: true, Writers: true, Term: 4})
	f.Config.Failover.PeerStop = time.Minute
	f.Asks(t, state.RequestMaster)
	refused(t, f, state.IneligibleConflict, "b is active under term 4")
	if len(f.Projects.Order) > 0 {
		t.Errorf("started %v", f.Projects.Order)
	}
}

func TestAPromotionWaitsForThePeerToStop(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	began := time.Now()
	f.Pair.With("b", func() (rules.PeerState, error) {
		return rules.PeerState{Node: "b", Role: state.RoleDemoting, Requested: state.RequestFault, Writers: time.Since(began) < time.Second}, nil
	})
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("active after %v, before the other node had stopped", took)
	}
}

func TestAPeerThatNeverStopsIsNotOverrun(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleFault, Writers: true, Reason: "tank/app is busy"})
	f.Asks(t, state.RequestMaster)
	refused(t, f, state.IneligibleRefused, "tank/app is busy")
}

func TestAPeerThatIsDownIsNoObstacle(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Pair.Down("b")
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Is(t, state.RoleActive)
}

// A node that accepts connections but does not answer delays a takeover only briefly,
// and the record names it: it may still write.
func TestAPeerThatCannotBeAskedIsWaitedForBriefly(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Pair.With("b", func() (rules.PeerState, error) { return rules.PeerState{}, errors.New("permission denied (publickey)") })
	began := time.Now()
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < f.Config.Failover.PeerTimeout || took > f.Config.Failover.PeerTimeout+time.Second {
		t.Errorf("active after %v", took)
	}
	steps := f.Is(t, state.RoleActive).Transition.Steps
	at := slices.IndexFunc(steps, func(s state.Step) bool { return s.Name == rules.AskStep && s.Object == "b" })
	if at < 0 || steps[at].Outcome != state.OutcomeSkipped || !strings.Contains(steps[at].Error, "may still write: permission denied") {
		t.Errorf("%+v", steps)
	}
}

func TestACutOffNodeTakesNothingOver(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Config.Witness.Targets = []string{"ping://10.0.0.254"}
	f.Reachable = false
	f.Pair.Down("b")
	f.Asks(t, state.RequestMaster)
	refused(t, f, state.IneligibleRefused, "isolated")
	// Once a witness answers, the node may try again.
	f.Reachable = true
	if err := f.Weigh(t.Context(), f.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !f.ShownEligible() {
		t.Error("still not eligible, though a witness answers")
	}
}

// With a witness, a peer that is cut off gets the time to notice.
func TestAWitnessGivesThePeerTime(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Config.Witness.Targets, f.Config.Witness.Delay = []string{"ping://10.0.0.254"}, time.Second
	f.Pair.Down("b")
	request := f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := f.Is(t, state.RoleActive).Transition.Ended.Sub(request.Time); took < time.Second {
		t.Errorf("active after %v", took)
	}
}

func TestAPromotionWithoutDataGivesTheAddressUp(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Datasets.All = true
	f.Datasets.Fail = []data.Failure{{Dataset: "tank/app", Err: errors.New("key not loaded")}}
	f.Asks(t, state.RequestMaster)
	refused(t, f, state.IneligiblePromotion, "key not loaded")
	role := f.Is(t, state.RoleFault)
	if role.ActiveTerm != 0 || role.NewestTerm != 1 {
		t.Errorf("active term %d, newest term %d: nothing was written under the new one", role.ActiveTerm, role.NewestTerm)
	}
	// No ping-pong: the operator has to release it first.
	f.Asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Weigh(t.Context(), f.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if f.ShownEligible() {
		t.Error("eligible again by itself")
	}
	released, err := f.Release(t.Context())
	if err != nil || len(released.Left) > 0 || !f.ShownEligible() {
		t.Errorf("released %+v, %v", released, err)
	}
}

func TestAFailedDatasetStopsOnlyItsProjects(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Datasets.Fail = []data.Failure{{Dataset: "tank/db", Mountpoint: "/tank/db", Err: errors.New("key not loaded")}}
	f.Asks(t, state.RequestMaster)
	err := f.Reconcile(t.Context())
	partial, ok := errors.AsType[*failover.PartialError](err)
	if !ok || len(partial.Failed) != 2 {
		t.Fatalf("error %v", err)
	}
	f.Is(t, state.RoleActive)
	if got := f.Projects.Names(); !slices.Equal(got, []string{"app", "traefik"}) {
		t.Errorf("running %v", got)
	}
}

func TestOnWhichDatasetAProjectLies(t *testing.T) {
	taken := data.Result{
		Failed:    []data.Failure{{Dataset: "tank/db", Mountpoint: "/tank/db"}, {Dataset: "tank/vol"}},
		Unmounted: []data.Failure{{Dataset: "tank/cold", Mountpoint: "/tank/cold"}},
		Mounted:   []string{"/tank", "/tank/cold/warm"},
	}
	for path, want := range map[string]string{
		"/tank/db": "tank/db", "/tank/db/sub": "tank/db", "/tank": "tank/db", "/tank/dbx": "",
		"/tank/cold/x": "tank/cold", "/tank/cold/warm/x": "", "/srv": "",
	} {
		if got := failover.Lies([]string{path}, taken); got != want {
			t.Errorf("%s lies on %q, want %q", path, got, want)
		}
	}
}

func TestAFailedProjectStopsNoOther(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Projects.Starting["traefik"] = func(context.Context) error { return errors.New("no such image") }
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err == nil || !strings.Contains(err.Error(), "project traefik: no such image") {
		t.Fatalf("error %v", err)
	}
	if got := f.Projects.Names(); !slices.Equal(got, []string{"app", "db"}) {
		t.Errorf("running %v", got)
	}
	// The operator fixes it and asks again.
	delete(f.Projects.Starting, "traefik")
	if _, err := f.State.RecordRequest(t.Context(), state.Request{Requested: state.RequestMaster, Boot: f.Boot, Started: 1 << 60, Time: time.Now(), Source: state.SourceOperator}, true); err != nil {
		t.Fatal(err)
	}
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if role := f.Is(t, state.RoleActive); role.Term != 1 || len(f.Projects.Names()) != 3 {
		t.Errorf("term %d, running %v", role.Term, f.Projects.Names())
	}
}

func TestWhatIsLeftIsToldAndTriedAgain(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Datasets.Busy = errors.New("held by process 17")
	f.Asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err == nil || !strings.Contains(err.Error(), "held by process 17") {
		t.Fatalf("error %v", err)
	}
	f.Is(t, state.RoleFault)
	if p, err := f.Describe(); err != nil || !p.Writers || len(p.Alerts) == 0 {
		t.Errorf("others are told %+v, %v", p, err)
	}
	f.Datasets.Busy = nil
	if err := f.Reconcile(t.Context()); err != nil { // as the hint says
		t.Fatal(err)
	}
	f.Is(t, state.RoleStandby)
	if p, err := f.Describe(); err != nil || p.Writers {
		t.Errorf("others are told %+v, %v", p, err)
	}
}

// A standby is looked over, since something may have revived a container.
func TestARevivedContainerIsStopped(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.Projects.Set("app", true)
	f.Asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Writes(t, false)
}

// A promotion that is turned round before it has made the node active leaves no
// history of its own; a node that was active has one.
func TestOnlyAPromotionThatCameToNothingIsUnmarked(t *testing.T) {
	f := newFake(t)
	f.Joins(t)
	f.VIP.Set(true, true)
	f.Datasets.Slow = time.Minute
	f.watches(t)
	f.Asks(t, state.RequestMaster)
	deadline := time.Now().Add(20 * time.Second)
	for role := (state.RoleFile{}); role.Role != state.RolePromoting; time.Sleep(10 * time.Millisecond) {
		var err error
		if role, err = f.State.Role(); err != nil || time.Now().After(deadline) {
			t.Fatal(role, err)
		}
	}
	f.Asks(t, state.RequestBackup)
	f.VIP.Set(true, false)
	f.Becomes(t, state.RoleStandby)
	if f.Datasets.Unmarks() != 1 {
		t.Errorf("unmarked %d times", f.Datasets.Unmarks())
	}
	f.Datasets.Slow = 0
	f.VIP.Set(true, true)
	f.Asks(t, state.RequestMaster)
	f.Becomes(t, state.RoleActive)
	f.Asks(t, state.RequestBackup)
	f.VIP.Set(true, false)
	f.Becomes(t, state.RoleStandby)
	if f.Datasets.Unmarks() != 1 {
		t.Errorf("after it was active, unmarked %d times", f.Datasets.Unmarks())
	}
}
