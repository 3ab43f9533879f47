package failover

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/witness"
)

// fake is a node of which only the state folder is real.
type fake struct {
	*Node
	data     *fakeData
	services *fakeServices
	address  *fakeAddress
	peers    *fakePeers
	witness  bool
	sent     func() error
}

func newFake(t *testing.T) *fake {
	t.Helper()
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	log := zerolog.New(zerolog.NewTestWriter(t))
	f := &fake{
		data: &fakeData{configured: true}, services: &fakeServices{running: map[string]bool{}, up: map[string]func(context.Context) error{}},
		address: &fakeAddress{kept: true}, peers: &fakePeers{answers: map[string]func() (PeerState, error){}}, witness: true,
	}
	cfg := &config.Config{
		Nodes: []config.Node{
			{Name: "a", Address: "10.0.0.1", Priority: 100},
			{Name: "b", Address: "10.0.0.2", Priority: 90},
		},
		StateDir: dir.Path(), RunDir: filepath.Join(filepath.Dir(dir.Path()), "run"),
		Services: config.Services{Directory: "/srv", Projects: []string{"*/compose.yml"}, First: []string{"traefik"},
			StopTimeout: time.Second, StartTimeout: 5 * time.Second, Parallel: 4},
		Failover: config.Failover{PeerTimeout: time.Second, PeerStop: 2 * time.Second, JoinWait: time.Minute, DatasetTimeout: 5 * time.Second},
	}
	f.services.find = []compose.Project{{Name: "app", Binds: []string{"/tank/app"}}, {Name: "db", Binds: []string{"/tank/db"}}, {Name: "traefik"}}
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleStandby})
	f.Node = &Node{
		Config: cfg, Self: cfg.Nodes[0], State: dir, Boot: "boot", Data: f.data, Services: f.services, Address: f.address, Peers: f.peers,
		Witness: func(context.Context) witness.Answer { return witness.Answer{Configured: true, Reachable: f.witness} },
		Send: func(context.Context, string, time.Duration) error {
			if f.sent != nil {
				return f.sent()
			}
			return nil
		},
		Runner: run.New(log), Log: log, Now: time.Now,
	}
	return f
}

// asks records a request as keepalived would.
func (f *fake) asks(t *testing.T, request state.RequestedRole) state.Request {
	t.Helper()
	started, err := ticks()
	if err != nil {
		t.Fatal(err)
	}
	last, _, err := f.State.Request()
	if err != nil {
		t.Fatal(err)
	}
	i, err := f.State.RecordRequest(t.Context(), state.Request{Requested: request, Source: state.SourceKeepalived, Time: time.Now(),
		Boot: f.Boot, Started: max(started, last.Started), PID: last.PID + 1}, false)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// is checks the role.
func (f *fake) is(t *testing.T, want state.Role) state.RoleFile {
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

// watches runs the watcher until the test ends.
func (f *fake) watches(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Watch(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// becomes waits until the node has answered the newest request with a role.
func (f *fake) becomes(t *testing.T, want state.Role) {
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

// joins joins the pair, as the boot does.
func (f *fake) joins(t *testing.T) Joined {
	t.Helper()
	joined, err := f.Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return joined
}

// writer checks that exactly an active node writes.
func (f *fake) writes(t *testing.T, want bool) {
	t.Helper()
	if f.data.isWritable() != want {
		t.Errorf("writable %v, want %v", f.data.isWritable(), want)
	}
	if running := f.services.names(); (len(running) > 0) != want {
		t.Errorf("running %v, want any: %v", running, want)
	}
}

type fakeData struct {
	mu         sync.Mutex
	configured bool
	writable   bool
	fail       []data.Failure // of a promotion
	all        bool           // every dataset fails
	busy       error          // of a demotion
	replayed   int            // how often intent log were replayed
	unmarked   int            // how often the marks of a promotion were taken away
	slow       time.Duration
	closed     func() // called when the data can't be written to any more
}

// close is called with the lock.
func (d *fakeData) close() {
	if d.writable && d.closed != nil {
		d.closed()
	}
	d.writable = false
}

func (d *fakeData) isWritable() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writable
}

func (d *fakeData) Configured() bool { return d.configured }

func (d *fakeData) Promote(ctx context.Context, step data.Stepper) (data.Result, error) {
	err := step(ctx, "mount", "tank", time.Minute, func(ctx context.Context) error { return pause(ctx, d.slow) })
	d.mu.Lock()
	defer d.mu.Unlock()
	result := data.Result{Datasets: 2, Failed: d.fail}
	if d.all {
		result.Datasets = len(d.fail)
		return result, nil
	}
	d.writable = err == nil
	return result, err
}

func (d *fakeData) Demote(ctx context.Context, step data.Stepper) (data.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy != nil {
		return data.Result{Datasets: 2, Failed: []data.Failure{{Dataset: "tank/app", Err: d.busy}}}, nil
	}
	d.close()
	return data.Result{Datasets: 2}, nil
}

func (d *fakeData) unmarks() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unmarked
}

func (d *fakeData) Unmark(context.Context, data.Stepper, time.Time) (data.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unmarked++
	return data.Result{Datasets: 2}, nil
}

func (d *fakeData) Fence(context.Context) (data.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.close()
	return data.Result{Datasets: 2}, nil
}

func (d *fakeData) Replay(context.Context) (data.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replayed++
	return data.Result{}, nil
}

func (d *fakeData) State(context.Context) ([]data.DatasetState, error) { return nil, nil }

type fakeServices struct {
	mu      sync.Mutex
	find    []compose.Project
	running map[string]bool
	order   []string // of starts
	up      map[string]func(context.Context) error
	stop    error
	stopped func(context.Context)
	known   []string
}

func (s *fakeServices) names() []string {
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

func (s *fakeServices) set(name string, runs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[name] = runs
}

func (s *fakeServices) Find(context.Context) ([]compose.Project, error)   { return s.find, nil }
func (s *fakeServices) Networks(context.Context, []compose.Project) error { return nil }
func (s *fakeServices) Serving(context.Context, compose.Project) error    { return nil }
func (s *fakeServices) Known() []string                                   { return s.known }
func (s *fakeServices) SetKnown(ids []string)                             { s.known = ids }

func (s *fakeServices) Up(ctx context.Context, p compose.Project) error {
	s.mu.Lock()
	s.order = append(s.order, p.Name)
	hook := s.up[p.Name]
	s.mu.Unlock()
	if hook != nil {
		if err := hook(ctx); err != nil {
			return err
		}
	}
	s.set(p.Name, true)
	return nil
}

func (s *fakeServices) Running(context.Context, []compose.Project) ([]docker.Container, error) {
	var found []docker.Container
	for _, name := range s.names() {
		found = append(found, docker.Container{Project: name})
	}
	return found, nil
}

func (s *fakeServices) Stop(ctx context.Context, _ []compose.Project, _ time.Duration) error {
	if s.stopped != nil {
		s.stopped(ctx)
	}
	if s.stop != nil {
		return s.stop
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.running)
	return nil
}

type fakeAddress struct {
	mu         sync.Mutex
	kept, here bool
	none       bool // the pair has no address
}

func (a *fakeAddress) set(kept, here bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept, a.here = kept, here
}

func (a *fakeAddress) Configured() bool { return !a.none }

func (a *fakeAddress) Kept() (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept, nil
}

func (a *fakeAddress) Here() (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.here, nil
}

func (a *fakeAddress) Remove(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.here = false
	return nil
}

type fakePeers struct {
	mu      sync.Mutex
	status  Status // what every node says of itself
	answers map[string]func() (PeerState, error)
}

func (p *fakePeers) set(name string, answer PeerState) {
	p.with(name, func() (PeerState, error) { return answer, nil })
}

func (p *fakePeers) down(name string) {
	p.with(name, func() (PeerState, error) {
		return PeerState{}, &UnreachableError{name, "10.0.0.2", errors.New("no route to host")}
	})
}

func (p *fakePeers) with(name string, answer func() (PeerState, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[name] = answer
}

func (p *fakePeers) Ask(_ context.Context, peer config.Node) (PeerState, error) {
	p.mu.Lock()
	answer := p.answers[peer.Name]
	p.mu.Unlock()
	return answer()
}

func (p *fakePeers) Status(_ context.Context, peer config.Node) (Status, error) {
	answer, err := p.Ask(context.Background(), peer)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	s.PeerState = answer
	return s, err
}
