package watch

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// settleConflict makes this node step down when another node is active too and comes
// first. It comes first by a newer term or, under the same term, by having been active
// earlier.
//
// Once the two can hear each other again, keepalived settles it within an advert or
// two. The node without the virtual IP then steps down for that reason. If both did,
// none would serve.
func (w *Watcher) settleConflict(ctx context.Context, role state.RoleFile, peers []rules.PeerState) error {
	if role.In(w.Boot) != state.RoleActive || rules.NewestActive(peers) == nil {
		w.both = time.Time{}
		return nil
	}
	if w.both.IsZero() {
		w.both = w.Now()
	}
	if w.Now().Sub(w.both) < rules.ConflictAfter && w.Address.Configured() {
		return nil
	}
	for _, p := range peers {
		if !p.IsActive() {
			continue
		}
		text := fmt.Sprintf("%s is active under term %d, and so is this node under term %d", p.Node, p.Term, role.Term)
		if !rules.StepsDown(role, w.Self.Name, p) {
			w.Log.Error().Msg(text + ": the other node has to step down")
			continue
		}
		if err := w.Exclude(ctx, state.IneligibleConflict, text); err != nil {
			return err
		}
		return w.Submit(ctx, state.RequestFault, state.SourceGuard, text)
	}
	return nil
}
