package doctor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// patience bounds one check. A part that takes longer would delay a failover too.
const patience = 8 * time.Second

// Doctor examines nodes.
type Doctor struct {
	Node *failover.Node
	// Release is the release of this program.
	Release string
	// Root is the folder that contains etc, run and usr, Proc that of the kernel's
	// tables.
	Root, Proc string
	// Patience bounds one check.
	Patience time.Duration

	engine *docker.Engine
	zfs    *zfs.ZFS
}

// New returns a doctor for this node and its peers.
func New(node *failover.Node, release string) *Doctor {
	return &Doctor{Node: node, Release: release, Root: "/", Proc: "/proc", Patience: patience,
		engine: docker.New(node.Config.Services.Socket), zfs: zfs.New(node.Runner, patience)}
}

func (d *Doctor) config() *config.Config { return d.Node.Config }

// collector collects the facts of this node from checks that run in parallel.
type collector struct {
	*Doctor
	mu     sync.Mutex
	facts  Facts
	checks sync.WaitGroup
}

// Facts gathers the facts of this node. It takes as long as the longest check, which
// is bounded. Failed checks are among the facts.
func (d *Doctor) Facts(ctx context.Context) Facts {
	g := &collector{Doctor: d, facts: Facts{Node: d.Node.Self.Name, Release: d.Release, System: d.system()}}
	collect(ctx, g, "config", sumConfig(d.config()), func(f *Facts, sums map[string]string) { f.Config = sums })
	collect(ctx, g, "status", d.Node.Status, func(f *Facts, s failover.Status) { f.Status = &s })
	collect(ctx, g, "programs", d.programs, func(f *Facts, list []Program) { f.Programs = list })
	collect(ctx, g, "schedule", d.schedule, func(f *Facts, s Schedule) { f.Schedule = &s })
	collect(ctx, g, "channels", d.channels, func(f *Facts, c Channels) { f.Channels = &c })
	collect(ctx, g, "witness", d.witness, func(f *Facts, text string) { f.Witness = text })
	if d.config().Witness.Etcd.Configured() {
		collect(ctx, g, "lease", d.lease, func(f *Facts, l Lease) { f.Lease = &l })
	}
	if d.Node.Address.Configured() {
		collect(ctx, g, "keepalived", d.keepalived, func(f *Facts, k Keepalived) { f.Keepalived = &k })
		collect(ctx, g, "interface", d.iface, func(f *Facts, i Interface) { f.Interface = &i })
	}
	for _, peer := range d.others() {
		collect(ctx, g, "link to "+peer.Name, func(ctx context.Context) (PeerLink, error) { return d.link(ctx, peer), nil },
			func(f *Facts, l PeerLink) { f.Peers = append(f.Peers, l) })
	}
	if d.Node.Data.Configured() {
		collect(ctx, g, "zfs", d.zfsFacts, func(f *Facts, z ZFS) { f.ZFS = &z })
	}
	if len(d.config().Services.Projects) > 0 {
		collect(ctx, g, "services", d.services, func(f *Facts, s Services) { f.Services = &s })
	}
	g.checks.Wait()
	g.mu.Lock() // an abandoned check may still finish
	defer g.mu.Unlock()
	g.facts.Time = d.Node.Now()
	return g.facts
}

// collect runs a check in the background and enters its result. It abandons a check
// that exceeds its time: a call that hangs in the kernel can't be ended.
func collect[T any](ctx context.Context, g *collector, name string, check func(context.Context) (T, error), enter func(*Facts, T)) {
	type result struct {
		value T
		err   error
	}
	g.checks.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, g.Patience)
		defer cancel()
		done := make(chan result, 1)
		go func() {
			value, err := check(ctx)
			done <- result{value, err}
		}()
		var r result
		// A check that ends at its deadline returns a better error than ours.
		grace := time.NewTimer(g.Patience + g.Patience/4)
		defer grace.Stop()
		select {
		case r = <-done:
		case <-grace.C:
			r.err = context.DeadlineExceeded
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if r.err != nil {
			g.facts.Failed = append(g.facts.Failed, failedCheck(name, r.err))
			return
		}
		enter(&g.facts, r.value)
	})
}

func failedCheck(name string, err error) FailedCheck {
	f := FailedCheck{Check: name, Error: err.Error(), Hint: exit.Hint(err), Hung: errors.Is(err, context.DeadlineExceeded)}
	if err == context.DeadlineExceeded {
		f.Error = "no answer in time"
	}
	return f
}

// others returns the nodes on other machines.
func (d *Doctor) others() []config.Node {
	var others []config.Node
	for _, n := range d.config().Standbys(d.Node.Self) {
		if !n.Local {
			others = append(others, n)
		}
	}
	return others
}
