// Package failovertest has a node for tests: the rules and the order of a takeover
// are real, its data, projects, virtual IP and peers are not.
package failovertest

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/witness"
)

// Fake is a node of which only the state folder is real.
type Fake struct {
	*failover.Node
	Datasets *Datasets
	Projects *Projects
	VIP      *VIP
	Pair     *Pair
	Clock    *Clock
	// Reachable: a witness answers.
	Reachable bool
}

// New returns node a of a pair, which has not joined yet.
func New(t *testing.T) *Fake {
	t.Helper()
	dir := t.TempDir()
	cfg := &config.Config{
		Nodes: []config.Node{
			{Name: "a", Address: "10.0.0.1", Priority: 100},
			{Name: "b", Address: "10.0.0.2", Priority: 90},
		},
		StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"),
		Services: config.Services{Directory: "/srv", Projects: []string{"*/compose.yml"}, First: []string{"traefik"},
			StopTimeout: time.Second, StartTimeout: 5 * time.Second, Parallel: 4},
		Failover: config.Failover{PeerTimeout: time.Second, PeerStop: 2 * time.Second, JoinWait: time.Minute, DatasetTimeout: 5 * time.Second},
	}
	log := zerolog.New(zerolog.NewTestWriter(t))
	records, err := self.Open(cfg, cfg.Nodes[0], run.New(log), log)
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{
		Datasets: &Datasets{Replicated: true}, Projects: &Projects{running: map[string]bool{}, Starting: map[string]func(context.Context) error{}},
		VIP: &VIP{kept: true}, Pair: &Pair{answers: map[string]func() (rules.PeerState, error){}}, Clock: &Clock{Clock: clock.System()}, Reachable: true,
	}
	f.Projects.Found = []compose.Project{{Name: "app", Binds: []string{"/tank/app"}}, {Name: "db", Binds: []string{"/tank/db"}}, {Name: "traefik"}}
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby})
	records.Boot, records.Address, records.Clock = "boot", f.VIP, f.Clock
	f.Node = &failover.Node{
		Records: records, Data: f.Datasets, Services: f.Projects, Engine: docker.New(cfg.Services.Socket), Peers: f.Pair,
		Witness: func(context.Context) witness.Answer { return witness.Answer{Configured: true, Reachable: f.Reachable} },
	}
	return f
}

// Clock is the machine's, or another one.
type Clock struct {
	clock.Clock
	// Wall, if set, is the wall clock.
	Wall func() time.Time
}

// Now returns the wall clock's time.
func (c *Clock) Now() time.Time {
	if c.Wall != nil {
		return c.Wall()
	}
	return c.Clock.Now()
}

// Asks records a request as keepalived would.
func (f *Fake) Asks(t *testing.T, request state.RequestedRole) state.Request {
	t.Helper()
	now, err := f.Clock.SinceBoot()
	if err != nil {
		t.Fatal(err)
	}
	last, _, err := f.State.Request()
	if err != nil {
		t.Fatal(err)
	}
	i, err := f.State.RecordRequest(t.Context(), state.Request{Requested: request, Source: state.SourceKeepalived, Time: time.Now(),
		Boot: f.Boot, Started: max(uint64(now*100/time.Second), last.Started), PID: last.PID + 1}, false)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// Is checks the role.
func (f *Fake) Is(t *testing.T, want state.Role) state.RoleFile {
	t.Helper()
	role, err := f.State.Role()
	if err != nil {
		t.Fatal(err)
	}
	if role.Role != want {
		t.Fatalf("role %s, want %s: %+v", role.Role, want, role.Transition)
	}
	return role
}

// Runs runs a resident process, such as the watcher, until the test ends.
func (f *Fake) Runs(t *testing.T, process func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- process(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Becomes waits until the node has answered the newest request with a role.
func (f *Fake) Becomes(t *testing.T, want state.Role) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		role, err := f.State.Role()
		if err != nil {
			t.Fatal(err)
		}
		request, _, err := f.State.Request()
		if err != nil {
			t.Fatal(err)
		}
		if role.Role == want && role.RequestSeq == request.Seq && !role.Transition.Ended.IsZero() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("role %s, want %s: %+v", role.Role, want, role.Transition)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Awaits waits until something holds.
func (f *Fake) Awaits(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 40*time.Second {
			t.Fatalf("not after 40 s: %s", what)
		}
	}
}

// Serves makes the node active, with a watcher and a peer that could take over. It
// has no virtual IP: with one, keepalived's check would have to run.
func (f *Fake) Serves(t *testing.T) {
	t.Helper()
	f.Joins(t)
	f.Asks(t, state.RequestMaster)
	if err := f.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.VIP.None = true
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true})
	lock, err := f.State.Lock(self.WatchLock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Unlock() })
}

// Joins joins the pair, as the boot does.
func (f *Fake) Joins(t *testing.T) failover.Joined {
	t.Helper()
	joined, err := f.Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return joined
}

// Writes checks that only an active node writes.
func (f *Fake) Writes(t *testing.T, want bool) {
	t.Helper()
	if f.Datasets.Writable() != want {
		t.Errorf("writable %v, want %v", f.Datasets.Writable(), want)
	}
	if running := f.Projects.Names(); (len(running) > 0) != want {
		t.Errorf("running %v, want any: %v", running, want)
	}
}

// Datasets are data without ZFS.
type Datasets struct {
	mu         sync.Mutex
	Replicated bool // there are datasets
	writable   bool
	Fail       []data.Failure // of a promotion
	All        bool           // every dataset fails
	Busy       error          // of a demotion
	replayed   int            // how often intent log were replayed
	unmarked   int            // how often the marks of a promotion were taken away
	Slow       time.Duration
	Closed     func() // called when the data can't be written to any more
}

// close is called with the lock.
func (d *Datasets) close() {
	if d.writable && d.Closed != nil {
		d.Closed()
	}
	d.writable = false
}

// Fails sets the error of the next demotions; nil: none.
func (d *Datasets) Fails(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Busy = err
}

// Writable reports whether the datasets are writable.
func (d *Datasets) Writable() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writable
}

// Replays returns how often the intent logs were replayed.
func (d *Datasets) Replays() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.replayed
}

// Configured implements failover.Data.
func (d *Datasets) Configured() bool { return d.Replicated }

// Promote implements failover.Data.
func (d *Datasets) Promote(ctx context.Context, step data.Stepper) (data.Result, error) {
	err := step(ctx, "mount", "tank", time.Minute, func(ctx context.Context) error { return clock.Pause(ctx, d.Slow) })
	d.mu.Lock()
	defer d.mu.Unlock()
	result := data.Result{Datasets: 2, Failed: d.Fail}
	if d.All {
		result.Datasets = len(d.Fail)
		return result, nil
	}
	d.writable = err == nil
	return result, err
}

// Demote implements failover.Data.
func (d *Datasets) Demote(ctx context.Context, step data.Stepper) (data.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Busy != nil {
		return data.Result{Datasets: 2, Failed: []data.Failure{{Dataset: "tank/app", Err: d.Busy}}}, nil
	}
	d.close()
	return data.Result{Datasets: 2}, nil
}

// Unmarks returns how often the marks of a promotion were removed.
func (d *Datasets) Unmarks() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unmarked
}

// DropPromotionSnapshots implements failover.Data.
func (d *Datasets) DropPromotionSnapshots(context.Context, data.Stepper, time.Time) (data.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unmarked++
	return data.Result{Datasets: 2}, nil
}

// Fence implements failover.Data.
func (d *Datasets) Fence(context.Context) (data.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.close()
	return data.Result{Datasets: 2}, nil
}

// Replay implements failover.Data.
func (d *Datasets) Replay(context.Context) (data.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replayed++
	return data.Result{}, nil
}

// State implements failover.Data.
func (d *Datasets) State(context.Context) ([]data.DatasetState, error) { return nil, nil }

// Projects are services without an engine.
type Projects struct {
	mu       sync.Mutex
	Found    []compose.Project
	running  map[string]bool
	Order    []string // of starts
	Starting map[string]func(context.Context) error
	StopErr  error
	Stopping func(context.Context)
	known    []string
}

// OnStop sets a function that is called before the projects are stopped.
func (s *Projects) OnStop(do func(context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Stopping = do
}

// Names returns the projects that run.
func (s *Projects) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, runs := range s.running {
		if runs {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Set makes a project one that runs, or does not.
func (s *Projects) Set(name string, runs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[name] = runs
}

// Find implements failover.Services, as do the following.
func (s *Projects) Find(context.Context) ([]compose.Project, error)   { return s.Found, nil }
func (s *Projects) Networks(context.Context, []compose.Project) error { return nil }
func (s *Projects) Serving(context.Context, compose.Project) error    { return nil }
func (s *Projects) Known() []string                                   { return s.known }
func (s *Projects) SetKnown(ids []string)                             { s.known = ids }

// Up implements failover.Services.
func (s *Projects) Up(ctx context.Context, p compose.Project) error {
	s.mu.Lock()
	s.Order = append(s.Order, p.Name)
	hook := s.Starting[p.Name]
	s.mu.Unlock()
	if hook != nil {
		if err := hook(ctx); err != nil {
			return err
		}
	}
	s.Set(p.Name, true)
	return nil
}

// Running implements failover.Services.
func (s *Projects) Running(context.Context, []compose.Project) ([]docker.Container, error) {
	var found []docker.Container
	for _, name := range s.Names() {
		found = append(found, docker.Container{Project: name})
	}
	return found, nil
}

func (s *Projects) Stop(ctx context.Context, _ []compose.Project, _ time.Duration) error {
	if s.Stopping != nil {
		s.Stopping(ctx)
	}
	if s.StopErr != nil {
		return s.StopErr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.running)
	return nil
}

// VIP is a virtual IP and keepalived, without either.
type VIP struct {
	mu         sync.Mutex
	kept, here bool
	None       bool // the pair has no address
}

// Set sets whether keepalived runs, and whether the virtual IP is here.
func (a *VIP) Set(kept, here bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept, a.here = kept, here
}

// Configured implements self.Address.
func (a *VIP) Configured() bool { return !a.None }

// KeepalivedRuns implements self.Address.
func (a *VIP) KeepalivedRuns() (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept, nil
}

// Here implements self.Address.
func (a *VIP) Here() (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.here, nil
}

// Remove implements self.Address.
func (a *VIP) Remove(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.here = false
	return nil
}

// Pair is the other nodes, which answer as the test sets them.
type Pair struct {
	mu      sync.Mutex
	says    failover.Status // what every node says of itself
	answers map[string]func() (rules.PeerState, error)
}

// Set sets the answer of a node.
func (p *Pair) Set(name string, answer rules.PeerState) {
	p.With(name, func() (rules.PeerState, error) { return answer, nil })
}

// Down makes a node one that does not answer.
func (p *Pair) Down(name string) {
	p.With(name, func() (rules.PeerState, error) {
		return rules.PeerState{}, &remote.UnreachableError{Node: name, Address: "10.0.0.2", Err: errors.New("no route to host")}
	})
}

// With sets a function that gives the answer of a node.
func (p *Pair) With(name string, answer func() (rules.PeerState, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[name] = answer
}

// Ask implements failover.Peers.
func (p *Pair) Ask(_ context.Context, peer config.Node) (rules.PeerState, error) {
	p.mu.Lock()
	answer := p.answers[peer.Name]
	p.mu.Unlock()
	return answer()
}

// SetStatus sets the status of every node beside its answer.
func (p *Pair) SetStatus(s failover.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.says = s
}

// Status implements failover.Peers.
func (p *Pair) Status(_ context.Context, peer config.Node) (failover.Status, error) {
	answer, err := p.Ask(context.Background(), peer)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.says
	s.PeerState = answer
	return s, err
}
