package failover

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/failover/holder"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/witness"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Node is this node with everything that a change of its role touches.
type Node struct {
	*self.Records
	Data     Data
	Services Services
	Engine   Engine
	Peers    Peers
	Witness  func(context.Context) witness.Answer
	// Lease is what this node needs to be active; nil: it needs none.
	Lease *holder.Holder
}

// Data is the ZFS part: see package data.
type Data interface {
	Configured() bool
	Promote(ctx context.Context, step data.Stepper) (data.Result, error)
	Demote(ctx context.Context, step data.Stepper) (data.Result, error)
	DropPromotionSnapshots(ctx context.Context, step data.Stepper, began time.Time) (data.Result, error)
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
	// Known returns the ids of the containers that were seen last, which can be
	// killed without the engine.
	Known() []string
	SetKnown(ids []string)
}

// Engine knows the images of this machine: see package docker.
type Engine interface {
	HasImage(ctx context.Context, image string) (bool, error)
	InspectImage(ctx context.Context, ref string) (docker.Image, error)
}

// Peers are the other nodes.
type Peers interface {
	// Ask asks a node for its state. The error for an unreachable node is a
	// *remote.UnreachableError.
	Ask(ctx context.Context, peer config.Node) (rules.PeerState, error)
	// Status asks for the whole status of a node.
	Status(ctx context.Context, peer config.Node) (Status, error)
}

// New returns the node of this machine.
func New(r *self.Records) *Node {
	engine := docker.New(r.Config.Services.Socket)
	n := &Node{
		Records:  r,
		Data:     data.New(r.Config, zfs.New(r.Runner, r.Config.Replication.Timeouts.ZFS), r.Log),
		Services: projects{compose.New(r.Config.Services, engine, r.Runner, r.Log), r.Config.Services},
		Engine:   engine,
		Lease:    holder.New(r),
	}
	n.Peers = newSSHPeers(n)
	n.Witness = func(ctx context.Context) witness.Answer {
		return witness.Ask(ctx, r.Config.Witness.Targets, r.Config.Witness.Timeout)
	}
	return n
}

// projects are the Compose projects of a configuration.
type projects struct {
	*compose.Manager
	cfg config.Services
}

func (p projects) Find(ctx context.Context) ([]compose.Project, error) {
	return compose.Find(ctx, p.cfg)
}
