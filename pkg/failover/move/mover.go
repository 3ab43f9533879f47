package move

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
)

// Mover is this node with everything that a planned move needs.
type Mover struct {
	*failover.Node
	// Send replicates to another node.
	Send func(ctx context.Context, to string, timeout time.Duration) error
	// Remote runs failover-notify on another node.
	Remote func(ctx context.Context, peer config.Node, timeout time.Duration, args ...string) error
	// HandBack has another node hand over to this node, or check whether it could.
	HandBack func(ctx context.Context, peer config.Node, dryRun bool) (Moved, error)
	// Rejoin preserves this node's unreplicated changes, and rolls back to what the
	// active node has.
	Rejoin func(ctx context.Context, from string) error
	// Checked gets the checks of a switchover before anything is done; may be nil.
	Checked func([]rules.Check)
}

// New returns the mover of a node.
func New(n *failover.Node) *Mover {
	m := &Mover{Node: n}
	m.Send, m.Remote, m.HandBack, m.Rejoin = m.send, m.remote, m.handBack, m.rejoin
	return m
}
