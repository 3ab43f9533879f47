package lag

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
)

// Peers are the other nodes.
type Peers interface {
	// Ask gets a node's inventory, and how far its clock is ahead of this node's.
	Ask(ctx context.Context, node config.Node) (*Inventory, time.Duration, error)
}

// VersionError is a lag-check of another version on the other node.
type VersionError struct {
	Node   string
	Format int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s: its lag-check says inventory format %d, this node knows %d", e.Node, e.Format, format)
}

// Hint says how to fix it.
func (e *VersionError) Hint() string { return "install the same release of understudy on both nodes" }

// SSHPeers asks over ssh, with one connection a node.
type SSHPeers struct {
	Config *config.Config
	Runner run.Programs
	Now    func() time.Time
}

// Ask asks lag-check on the other node.
func (p SSHPeers) Ask(ctx context.Context, node config.Node) (*Inventory, time.Duration, error) {
	command, peers := p.Config.Lag.RemoteCommand, remote.Peers{Programs: p.Runner, SSH: p.Config.SSH}
	ctx, cancel := context.WithTimeout(ctx, p.Config.Lag.Timeout)
	defer cancel()
	if err := peers.Reach(ctx, node); err != nil {
		return nil, 0, err
	}
	// The other node looks at its clock just before it sends its first byte, so that
	// only the way of one packet lies between.
	var first time.Time
	answer := &remote.Answer{Limit: remote.MaxAnswer, First: func() { first = p.Now() }}
	err := peers.Run(ctx, node, 0, answer, command, "inventory", "-o", "json")
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, 0, fmt.Errorf("ask %s: no answer within %s", node.Name, p.Config.Lag.Timeout)
	}
	var inventory Inventory
	if err == nil {
		err = remote.Decode(answer.Bytes(), command, &inventory)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("ask %s: %w", node.Name, err)
	}
	if inventory.Format != format {
		return nil, 0, &VersionError{node.Name, inventory.Format}
	}
	return &inventory, inventory.Time.Sub(first), nil
}
