package watch

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/failovertest"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/state"
)

// simulated is a node whose records are in memory and whose clock is that of the
// bubble: both nodes of a pair run in one process.
type simulated struct {
	*failovertest.Fake
	files chan string
}

// simulate returns the nodes of a pair, which ask each other while up says so.
func simulate(t *testing.T, up func(node string) bool) (a, b *simulated) {
	t.Helper()
	booted := time.Now().Add(-time.Hour)
	nodes := map[string]*simulated{}
	for i, name := range []string{"a", "b"} {
		n := &simulated{Fake: failovertest.New(t), files: make(chan string, 100)}
		n.Self = n.Config.Nodes[i]
		n.State = state.On(&state.Memory{Name: "/state-" + name, Changed: n.changed})
		n.RunDir = state.On(&state.Memory{Name: "/run-" + name, Changed: n.changed})
		n.Boot = "boot-" + name
		n.Records.Clock, n.Records.Host = bubble{booted}, host{}
		n.Peers = asking(func(peer string) (rules.PeerState, error) {
			if !up(peer) {
				return rules.PeerState{}, &remote.UnreachableError{Node: peer}
			}
			return nodes[peer].Describe()
		})
		nodes[name] = n
	}
	return nodes["a"], nodes["b"]
}

// changed passes on the name of a file.
func (n *simulated) changed(name string) {
	select {
	case n.files <- name:
	default: // the watcher looks around each second anyway
	}
}

// watches runs the watcher, whose changes are those of the memory.
func (n *simulated) watches(ctx context.Context, t *testing.T, running *sync.WaitGroup) {
	t.Helper()
	w := New(n.Node)
	w.Changes = func(*self.Records) (Changes, error) { return changes{n.files}, nil }
	running.Go(func() {
		if err := w.Watch(ctx); err != nil {
			t.Error(err)
		}
	})
}

type changes struct{ files chan string }

func (c changes) Files() <-chan string { return c.files }
func (c changes) Errors() <-chan error { return nil }
func (c changes) Close() error         { return nil }

type bubble struct{ booted time.Time }

var _ clock.Clock = bubble{}

func (b bubble) Now() time.Time                    { return time.Now() }
func (b bubble) SinceBoot() (time.Duration, error) { return time.Since(b.booted), nil }

type host struct{}

func (host) PID() int                                    { return 1 }
func (host) Started() (uint64, error)                    { return 1, nil }
func (host) ByKeepalived() bool                          { return true }
func (host) Insecure(string) string                      { return "" }
func (host) NotifySystemd(context.Context, string) error { return nil }

type asking func(peer string) (rules.PeerState, error)

func (ask asking) Ask(_ context.Context, peer config.Node) (rules.PeerState, error) {
	return ask(peer.Name)
}

func (ask asking) Status(_ context.Context, peer config.Node) (failover.Status, error) {
	p, err := ask(peer.Name)
	return failover.Status{PeerState: p}, err
}

// Both nodes of a pair run in one process and in no time: without any hook, the
// virtual IP alone makes a active, and its loss makes b take over.
func TestSimulatedPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var off atomic.Value // the node that is off
		off.Store("")
		a, b := simulate(t, func(node string) bool { return node != off.Load() })
		a.Joins(t)
		if err := b.State.Write(state.ReceivedName, state.Received{From: "a", Term: 1}); err != nil {
			t.Fatal(err)
		}
		b.Joins(t)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		a.watches(ctx, t, &running)
		b.watches(ctx, t, &running)
		began := time.Now()

		a.VIP.Set(true, true)
		time.Sleep(10 * time.Second)
		first := a.Is(t, state.RoleActive).Term
		b.Is(t, state.RoleStandby)

		// keepalived is killed on a, and b's takes the virtual IP.
		a.VIP.Set(false, false)
		b.VIP.Set(true, true)
		time.Sleep(time.Minute)
		a.Is(t, state.RoleStandby)
		if role := b.Is(t, state.RoleActive); role.Term != first+1 {
			t.Errorf("b is active under term %d, a was under %d", role.Term, first)
		}
		if a.Datasets.Writable() || !b.Datasets.Writable() {
			t.Errorf("writable: a %v, b %v", a.Datasets.Writable(), b.Datasets.Writable())
		}

		// b goes off. The replica of a is out of date, so a does not take over.
		off.Store("b")
		b.VIP.Set(false, false)
		a.VIP.Set(true, true)
		time.Sleep(time.Minute)
		if a.ShownEligible() || a.Datasets.Writable() {
			t.Error("a takes over without the changes of b")
		}
		cancel()
		running.Wait()
		t.Logf("%s passed", time.Since(began))
	})
}
