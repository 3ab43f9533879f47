package failover

import (
	"context"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
)

// Preflight checks on both nodes whether a switchover would succeed.
func (n *Node) Preflight(ctx context.Context, peer config.Node) ([]rules.Check, error) {
	own, err := n.Status(ctx)
	if err != nil {
		return nil, err
	}
	theirs, err := n.Peers.Status(ctx, peer)
	if err != nil {
		return []rules.Check{{Name: "answers", Node: peer.Name, Text: err.Error(), Hint: "a node that can't be asked can't be handed over to; see that ssh works: failover-notify status"}}, nil
	}
	return rules.JudgeSwitchover(own.readiness(), theirs.readiness(), n.Address.Configured()), nil
}
