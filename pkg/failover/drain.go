package failover

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// Drain hands over before keepalived stops, within a time after which systemd waits
// no longer. What can't be sent ahead in time, with enough left for stopping and for
// the rest, is not begun with. Whatever fails after the services have been stopped,
// this node goes on to give way as it would without: to start everything again only
// for keepalived to stop would keep another node waiting.
func (n *Node) Drain(ctx context.Context, within time.Duration) (Switched, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	peer, result, err := n.ready(ctx, "")
	if err != nil {
		return result, err
	}
	reserve := min(n.Config.Services.StopTimeout+stopMargin, within/2)
	ahead, done := context.WithTimeout(ctx, within-reserve)
	defer done()
	if err := n.sendAhead(ahead, peer); err != nil {
		return result, fmt.Errorf("drain: nothing has been stopped: %w", err)
	}
	return n.cross(ctx, peer, result, func(ctx context.Context, t *transition, request state.Request, cause error) error {
		ctx = context.WithoutCancel(ctx)
		n.Log.Warn().Err(cause).Str("to", peer.Name).Msg("not handed over: this node gives way without")
		if err := t.end(state.RoleDemoting, state.OutcomeFailed, cause); err != nil {
			return err
		}
		err := n.demote(ctx, t.current(), state.Request{Seq: request.Seq, Requested: state.RequestStop, Source: state.SourceGuard, Reason: "keepalived stops"}, state.RoleStandby)
		if letGo := n.letGo(ctx, peer); letGo != nil {
			n.Log.Warn().Err(letGo).Msg("the address goes with keepalived")
		}
		if err != nil {
			return fmt.Errorf("drain: %w; and giving way without: %w", cause, err)
		}
		return fmt.Errorf("drain: this node has given way, and what was written last is not on %s: %w", peer.Name, cause)
	})
}
