package failover

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/state"
)

func TestTakeOverAndGiveBack(t *testing.T) {
	f := newFake(t)
	if joined := f.joins(t); !joined.Eligible {
		t.Fatalf("not eligible: %v", joined.Reasons)
	}
	f.writes(t, false)
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	role := f.is(t, state.RoleActive)
	f.writes(t, true)
	if role.Term != 1 || role.ActiveTerm != 1 || role.Transition.Outcome != state.OutcomeDone {
		t.Errorf("%+v", role)
	}
	if f.services.order[0] != "traefik" {
		t.Errorf("started in the order %v, want traefik first", f.services.order)
	}
	f.asks(t, state.RequestFault)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.is(t, state.RoleFault)
	f.writes(t, false)
	f.asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.is(t, state.RoleStandby)
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if role := f.is(t, state.RoleActive); role.Term != 2 {
		t.Errorf("term %d, want 2", role.Term)
	}
	history, err := f.History()
	if err != nil || len(history) != 5 {
		t.Errorf("%d transitions in the history, %v", len(history), err)
	}
}

// The peer's term counts, also when only the data that came tells of it.
func TestTheTermIsNewerThanAnySeen(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleFault, NewestTerm: 7})
	if err := f.State.Write("received", map[string]any{"term": 9}); err != nil {
		t.Fatal(err)
	}
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if role := f.is(t, state.RoleActive); role.Term != 10 {
		t.Errorf("term %d, want 10", role.Term)
	}
}

// Flaps while projects start slowly: the newest request wins, in the middle.
func TestANewerIntentTurnsATransitionRound(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	starting := make(chan struct{}, 10)
	f.services.up["db"] = func(ctx context.Context) error {
		starting <- struct{}{}
		return pause(ctx, 500*time.Millisecond)
	}
	f.watches(t)
	for _, request := range []state.RequestedRole{state.RequestMaster, state.RequestBackup, state.RequestMaster, state.RequestFault} {
		f.asks(t, request)
		if request == state.RequestMaster {
			<-starting
		}
	}
	f.becomes(t, state.RoleFault)
	f.writes(t, false)
}

// What the engine is about to stop still counts as running: it is stopped for good
// before anything is started.
func TestAStopThatWasTurnedRoundIsFinishedFirst(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	request := f.asks(t, state.RequestMaster)
	role := f.is(t, state.RoleStandby)
	role.Role, role.RequestSeq = state.RoleDemoting, request.Seq-1
	if err := f.State.SetRole(role); err != nil {
		t.Fatal(err)
	}
	f.services.set("traefik", true)
	stopped := 0
	f.services.stopped = func(context.Context) {
		if stopped++; len(f.services.order) > 0 {
			t.Errorf("stopped after %v were started", f.services.order)
		}
	}
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.is(t, state.RoleActive)
	if stopped == 0 || len(f.services.names()) != 3 {
		t.Errorf("stopped %d times, running %v", stopped, f.services.names())
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
		f.joins(t)
		f.services.set("stray", true)
		request := f.asks(t, c.request)
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
		f.is(t, c.want)
		f.writes(t, c.want == state.RoleActive)
	}
}

func TestIntentsOfAnEarlierBootAskForNothing(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.asks(t, state.RequestMaster)
	f.Boot = "another"
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.is(t, state.RoleStandby)
}

// refused checks that nothing was touched and the address is given up.
func refused(t *testing.T, f *fake, kind, text string) {
	t.Helper()
	err := f.Reconcile(t.Context())
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want one with %q", err, text)
	}
	f.is(t, state.RoleFault)
	f.writes(t, false)
	e, _, err := f.State.Eligibility()
	if err != nil || e.Eligible || state.Shown(f.Config.RunDir) || !has(e.Reasons, kind) {
		t.Errorf("eligibility %+v, %v, want a reason %s", e, err, kind)
	}
}

func TestNoPromotionBesideAnActiveNode(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleActive, Requested: state.RequestMaster, HoldsAddress: true, Writers: true, Term: 4})
	f.Config.Failover.PeerStop = time.Minute
	f.asks(t, state.RequestMaster)
	refused(t, f, state.IneligibleConflict, "b is active under term 4")
	if len(f.services.order) > 0 {
		t.Errorf("started %v", f.services.order)
	}
}

func TestAPromotionWaitsForThePeerToStop(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	began := time.Now()
	f.peers.with("b", func() (PeerState, error) {
		return PeerState{Node: "b", Role: state.RoleDemoting, Requested: state.RequestFault, Writers: time.Since(began) < time.Second}, nil
	})
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("active after %v, before the other node had stopped", took)
	}
}

func TestAPeerThatNeverStopsIsNotOverrun(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleFault, Writers: true, Reason: "tank/app is busy"})
	f.asks(t, state.RequestMaster)
	refused(t, f, state.IneligibleRefused, "tank/app is busy")
}

func TestAPeerThatIsDownIsNoObstacle(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.peers.down("b")
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.is(t, state.RoleActive)
}

// One that accepts connections but can't be asked holds nothing up for long, and
// people are told that it may still write.
func TestAPeerThatCannotBeAskedIsWaitedForBriefly(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.peers.with("b", func() (PeerState, error) { return PeerState{}, errors.New("permission denied (publickey)") })
	began := time.Now()
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < f.Config.Failover.PeerTimeout || took > f.Config.Failover.PeerTimeout+time.Second {
		t.Errorf("active after %v", took)
	}
	steps := f.is(t, state.RoleActive).Transition.Steps
	at := slices.IndexFunc(steps, func(s state.Step) bool { return s.Name == AskStep && s.Object == "b" })
	if at < 0 || steps[at].Outcome != state.OutcomeSkipped || !strings.Contains(steps[at].Error, "may still write: permission denied") {
		t.Errorf("%+v", steps)
	}
}

func TestACutOffNodeTakesNothingOver(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.Config.Witness.Targets = []string{"ping://10.0.0.254"}
	f.witness = false
	f.peers.down("b")
	f.asks(t, state.RequestMaster)
	refused(t, f, state.IneligibleRefused, "cut off")
	// Once a witness answers, the node may try again.
	f.witness = true
	if err := f.weigh(t.Context(), f.askAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !state.Shown(f.Config.RunDir) {
		t.Error("still not eligible, though a witness answers")
	}
}

// With a witness, a peer that is cut off gets the time to notice.
func TestAWitnessGivesThePeerTime(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.Config.Witness.Targets, f.Config.Witness.Delay = []string{"ping://10.0.0.254"}, time.Second
	f.peers.down("b")
	request := f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := f.is(t, state.RoleActive).Transition.Ended.Sub(request.Time); took < time.Second {
		t.Errorf("active after %v", took)
	}
}

func TestAPromotionWithoutDataGivesTheAddressUp(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.data.all = true
	f.data.fail = []data.Failure{{Dataset: "tank/app", Err: errors.New("key not loaded")}}
	f.asks(t, state.RequestMaster)
	refused(t, f, state.IneligiblePromotion, "key not loaded")
	role := f.is(t, state.RoleFault)
	if role.ActiveTerm != 0 || role.NewestTerm != 1 {
		t.Errorf("active term %d, newest term %d: nothing was written under the new one", role.ActiveTerm, role.NewestTerm)
	}
	// No ping-pong: a person has to look first.
	f.asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.weigh(t.Context(), f.askAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if state.Shown(f.Config.RunDir) {
		t.Error("eligible again by itself")
	}
	released, err := f.Release(t.Context())
	if err != nil || len(released.Left) > 0 || !state.Shown(f.Config.RunDir) {
		t.Errorf("released %+v, %v", released, err)
	}
}

func TestAFailedDatasetStopsOnlyItsProjects(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.data.fail = []data.Failure{{Dataset: "tank/db", Mountpoint: "/tank/db", Err: errors.New("key not loaded")}}
	f.asks(t, state.RequestMaster)
	err := f.Reconcile(t.Context())
	partial, ok := errors.AsType[*PartialError](err)
	if !ok || len(partial.Failed) != 2 {
		t.Fatalf("error %v", err)
	}
	f.is(t, state.RoleActive)
	if got := f.services.names(); !slices.Equal(got, []string{"app", "traefik"}) {
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
		if got := lies([]string{path}, taken); got != want {
			t.Errorf("%s lies on %q, want %q", path, got, want)
		}
	}
}

func TestAFailedProjectStopsNoOther(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.services.up["traefik"] = func(context.Context) error { return errors.New("no such image") }
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err == nil || !strings.Contains(err.Error(), "project traefik: no such image") {
		t.Fatalf("error %v", err)
	}
	if got := f.services.names(); !slices.Equal(got, []string{"app", "db"}) {
		t.Errorf("running %v", got)
	}
	// A person mends it and asks again.
	delete(f.services.up, "traefik")
	if _, err := f.State.RecordRequest(t.Context(), state.Request{Requested: state.RequestMaster, Boot: f.Boot, Started: 1 << 60, Time: time.Now(), Source: state.SourceOperator}, true); err != nil {
		t.Fatal(err)
	}
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if role := f.is(t, state.RoleActive); role.Term != 1 || len(f.services.names()) != 3 {
		t.Errorf("term %d, running %v", role.Term, f.services.names())
	}
}

func TestWhatIsLeftIsToldAndTriedAgain(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.data.busy = errors.New("held by process 17")
	f.asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err == nil || !strings.Contains(err.Error(), "held by process 17") {
		t.Fatalf("error %v", err)
	}
	f.is(t, state.RoleFault)
	if p, err := f.Describe(); err != nil || !p.Writers || len(p.Alerts) == 0 {
		t.Errorf("others are told %+v, %v", p, err)
	}
	f.data.busy = nil
	if err := f.Reconcile(t.Context()); err != nil { // as the hint says
		t.Fatal(err)
	}
	f.is(t, state.RoleStandby)
	if p, err := f.Describe(); err != nil || p.Writers {
		t.Errorf("others are told %+v, %v", p, err)
	}
}

// A standby is looked over, since something may have revived a container.
func TestARevivedContainerIsStopped(t *testing.T) {
	f := newFake(t)
	f.joins(t)
	f.services.set("app", true)
	f.asks(t, state.RequestBackup)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.writes(t, false)
}
