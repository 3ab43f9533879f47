package failover

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/keepalived"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/witness"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Node is this node with all that a change of its role touches.
type Node struct {
	Config *config.Config
	Self   config.Node
	State  *state.Dir
	// Boot is the kernel's id of this boot.
	Boot     string
	Data     Data
	Services Services
	Address  Address
	Peers    Peers
	Witness  func(context.Context) witness.Answer
	// Lease is what this node needs to be active; nil: it needs none.
	Lease Lease
	// Send replicates to another node.
	Send func(ctx context.Context, to string, timeout time.Duration) error
	// Remote runs failover-notify on another node.
	Remote func(ctx context.Context, peer config.Node, timeout time.Duration, args ...string) error
	// HandBack has another node hand over to this one, or look whether it could.
	HandBack func(ctx context.Context, peer config.Node, dryRun bool) (Moved, error)
	// Rejoin keeps what is only here, and rolls back to what the active node has.
	Rejoin func(ctx context.Context, from string) error
	// Checked is told what was looked at before a switchover, before anything is done;
	// nil: nobody is.
	Checked func([]Check)
	Runner  run.Programs
	Log     zerolog.Logger
	Now     func() time.Time
}

// Data is the ZFS part: see package data.
type Data interface {
	Configured() bool
	Promote(ctx context.Context, step data.Stepper) (data.Result, error)
	Demote(ctx context.Context, step data.Stepper) (data.Result, error)
	Unmark(ctx context.Context, step data.Stepper, began time.Time) (data.Result, error)
	Fence(ctx context.Context) (data.Result, error)
	Replay(ctx context.Context) (data.Result, error)
	State(ctx context.Context) ([]data.DatasetState, error)
}

// Services are the Compose projects: see package compose.
type Services interface {
	Find(ctx context.Context) ([]compose.Project, error)
	Networks(ctx context.Context, projects []compose.Project) error
	Up(ctx context.Context, p compose.Project) error
	Serving(ctx context.Context, p compose.Project) error
	Running(ctx context.Context, projects []compose.Project) ([]docker.Container, error)
	Stop(ctx context.Context, projects []compose.Project, grace time.Duration) error
	// Known are the ids of the containers that were seen last, which can be
	// killed without the engine.
	Known() []string
	SetKnown(ids []string)
}

// Address is the floating address and keepalived, which moves it.
type Address interface {
	// Configured is false for a pair without one.
	Configured() bool
	// Here says whether this machine has the address.
	Here() (bool, error)
	// Kept says whether keepalived runs.
	Kept() (bool, error)
	Remove(ctx context.Context) error
}

// Peers are the other nodes.
type Peers interface {
	// Ask asks a node what it is. A node that does not answer at all is an
	// *UnreachableError.
	Ask(ctx context.Context, peer config.Node) (PeerState, error)
	// Status asks for all that a person would want to know.
	Status(ctx context.Context, peer config.Node) (Status, error)
}

// New returns the node of this machine.
func New(cfg *config.Config, self config.Node, dir *state.Dir, runner run.Programs, log zerolog.Logger, now func() time.Time) (*Node, error) {
	boot, err := state.BootID()
	if err != nil {
		return nil, err
	}
	n := &Node{
		Config: cfg, Self: self, State: dir, Boot: boot, Runner: runner, Log: log, Now: now,
		Data:     data.New(cfg, zfs.New(runner, cfg.Replication.Timeouts.ZFS), log),
		Services: projects{compose.New(cfg.Services, docker.New(cfg.Services.Socket), runner, log), cfg.Services},
		Lease:    newLease(cfg),
	}
	n.Peers = newSSHPeers(n)
	if n.Address, err = newAddress(cfg, runner); err != nil {
		return nil, err
	}
	n.Send, n.Remote, n.HandBack, n.Rejoin = n.send, n.remote, n.handBack, n.rejoin
	n.Witness = func(ctx context.Context) witness.Answer {
		return witness.Ask(ctx, cfg.Witness.Targets, cfg.Witness.Timeout)
	}
	return n, nil
}

// others are the nodes that could be active instead of this one.
func (n *Node) others() []config.Node {
	var others []config.Node
	for _, other := range n.Config.Standbys(n.Self) {
		if !other.Local {
			others = append(others, other)
		}
	}
	return others
}

// hasServices says whether there are projects to start and stop.
func (n *Node) hasServices() bool { return len(n.Config.Services.Projects) > 0 }

// projects are the Compose projects of a configuration.
type projects struct {
	*compose.Manager
	cfg config.Services
}

func (p projects) Find(ctx context.Context) ([]compose.Project, error) {
	return compose.Find(ctx, p.cfg)
}

// address is keepalived's address on this machine.
type address struct {
	prefix netip.Prefix
	iface  string
	runner run.Programs

	mu     sync.Mutex
	finder keepalived.Finder
}

func newAddress(cfg *config.Config, runner run.Programs) (*address, error) {
	a := &address{iface: cfg.Interface, runner: runner}
	if cfg.VirtualIP == "" {
		return a, nil
	}
	var err error
	if a.prefix, err = netip.ParsePrefix(cfg.VirtualIP); err != nil {
		return a, fmt.Errorf("read virtual_ip: %w", err)
	}
	return a, nil
}

func (a *address) Configured() bool { return a.prefix.IsValid() }

func (a *address) Here() (bool, error) {
	if !a.Configured() {
		return false, nil
	}
	return keepalived.Holds(a.prefix, a.iface)
}

func (a *address) Kept() (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.finder.Running()
}

func (a *address) Remove(ctx context.Context) error {
	if !a.Configured() {
		return nil
	}
	return keepalived.RemoveAddress(ctx, a.runner, a.prefix, a.iface)
}
