package move

import (
	"context"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
)

// preflight checks on both nodes whether a switchover would succeed.
func (m *Mover) preflight(ctx context.Context, peer config.Node) ([]rules.Check, error) {
	own, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	theirs, err := m.Peers.Status(ctx, peer)
	if err != nil {
		return []rules.Check{{Name: "answers", Node: peer.Name, Text: err.Error(), Hint: "a node that does not answer can't be handed over to; check ssh: failover-notify status"}}, nil
	}
	return rules.JudgeSwitchover(own.Readiness(), theirs.Readiness(), m.Address.Configured()), nil
}
