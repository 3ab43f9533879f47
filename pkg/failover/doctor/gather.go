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

// patience is how long one look may take. What has not answered by then would
// keep a failover waiting too.
const patience = 8 * time.Second

// Doctor looks at nodes.
type Doctor struct {
	Node *failover.Node
	// Release is that of this program.
	Release string
	// Root is the folder in which /etc and the like are looked for, and Proc
	// the one of the kernel's tables.
	Root, Proc string
	// Patience is how long one look may take.
	Patience time.Duration

	engine *docker.Engine
	zfs    *zfs.ZFS
}

// New returns a doctor for this node and those it can ask.
func New(node *failover.Node, release string) *Doctor {
	return &Doctor{Node: node, Release: release, Root: "/", Proc: "/proc", Patience: patience,
		engine: docker.New(node.Config.Services.Socket), zfs: zfs.New(node.Runner, patience)}
}

func (d *Doctor) config() *config.Config { return d.Node.Config }

// gathering is one node's facts while they are gathered.
type gathering struct {
	*Doctor
	mu    sync.Mutex
	facts Facts
	looks sync.WaitGroup
}

// Facts looks at this node. It takes as long as its longest look, which is
// bounded; what fails is among the facts.
func (d *Doctor) Facts(ctx context.Context) Facts {
	g := &gathering{Doctor: d, facts: Facts{Node: d.Node.Self.Name, Release: d.Release, System: d.system()}}
	look(ctx, g, "config", sumConfig(d.config()), func(f *Facts, sums map[string]string) { f.Config = sums })
	look(ctx, g, "status", d.Node.Status, func(f *Facts, s failover.Status) { f.Status = &s })
	look(ctx, g, "programs", d.programs, func(f *Facts, list []Program) { f.Programs = list })
	look(ctx, g, "schedule", d.schedule, func(f *Facts, s Schedule) { f.Schedule = &s })
	look(ctx, g, "channels", d.channels, func(f *Facts, c Channels) { f.Channels = &c })
	look(ctx, g, "witness", d.witness, func(f *Facts, text string) { f.Witness = text })
	if d.config().Witness.Etcd.Configured() {
		look(ctx, g, "lease", d.lease, func(f *Facts, l Lease) { f.Lease = &l })
	}
	if d.Node.Address.Configured() {
		look(ctx, g, "keepalived", d.keepalived, func(f *Facts, k Keepalived) { f.Keepalived = &k })
		look(ctx, g, "interface", d.iface, func(f *Facts, i Interface) { f.Interface = &i })
	}
	for _, peer := range d.others() {
		look(ctx, g, "link to "+peer.Name, func(ctx context.Context) (PeerLink, error) { return d.link(ctx, peer), nil },
			func(f *Facts, l PeerLink) { f.Peers = append(f.Peers, l) })
	}
	if d.Node.Data.Configured() {
		look(ctx, g, "zfs", d.zfsFacts, func(f *Facts, z ZFS) { f.ZFS = &z })
	}
	if len(d.config().Services.Projects) > 0 {
		look(ctx, g, "services", d.services, func(f *Facts, s Services) { f.Services = &s })
	}
	g.looks.Wait()
	g.mu.Lock() // one that was given up may come to its end now
	defer g.mu.Unlock()
	g.facts.Time = d.Node.Now()
	return g.facts
}

// look looks at something in the background. One that does not come back in
// time is left behind: a call that hangs in the kernel can't be ended.
func look[T any](ctx context.Context, g *gathering, name string, at func(context.Context) (T, error), enter func(*Facts, T)) {
	type result struct {
		value T
		err   error
	}
	g.looks.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, g.Patience)
		defer cancel()
		done := make(chan result, 1)
		go func() {
			value, err := at(ctx)
			done <- result{value, err}
		}()
		var r result
		// What is ended by the deadline says itself what it was, if it can.
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
			g.facts.Failed = append(g.facts.Failed, failedLook(name, r.err))
			return
		}
		enter(&g.facts, r.value)
	})
}

func failedLook(name string, err error) FailedLook {
	f := FailedLook{Look: name, Error: err.Error(), Hint: exit.Hint(err), Hung: errors.Is(err, context.DeadlineExceeded)}
	if err == context.DeadlineExceeded {
		f.Error = "no answer in time"
	}
	return f
}

// others are the other machines.
func (d *Doctor) others() []config.Node {
	var others []config.Node
	for _, n := range d.config().Standbys(d.Node.Self) {
		if !n.Local {
			others = append(others, n)
		}
	}
	return others
}
