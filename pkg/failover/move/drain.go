package move

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
)

// Drain hands over before keepalived stops, within a time after which systemd waits
// no longer. It does not begin if not all can be sent ahead in time, with enough left
// for stopping and for the rest. Whatever fails after the services have been stopped,
// this node steps down as it would without.
func (m *Mover) Drain(ctx context.Context, within time.Duration) (Switched, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	peer, result, err := m.ready(ctx, "")
	if err != nil {
		return result, err
	}
	reserve := min(m.Config.Services.StopTimeout+failover.StopMargin, within/2)
	ahead, done := context.WithTimeout(ctx, within-reserve)
	defer done()
	if err := m.sendAhead(ahead, peer); err != nil {
		return result, fmt.Errorf("drain: nothing has been stopped: %w", err)
	}
	return m.cross(ctx, peer, result, m.HandOverOrStepDown)
}
