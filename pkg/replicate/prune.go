package replicate

import (
	"context"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/prune"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Prune applies the retention on this node alone.
func (e *Engine) Prune(ctx context.Context, dryRun bool) ([]prune.Result, error) {
	if !dryRun {
		lock, err := e.State.Lock(session.SenderLock)
		if err != nil {
			return nil, err
		}
		defer lock.Unlock()
	}
	scope, err := e.scope(ctx, "")
	if err != nil {
		return nil, err
	}
	source, err := e.sources(ctx, scope)
	if err != nil {
		return nil, err
	}
	return e.pruneSource(ctx, source, dryRun)
}

// pruneSource prunes the listed datasets of this node.
func (e *Engine) pruneSource(ctx context.Context, source []zfs.Dataset, dryRun bool) ([]prune.Result, error) {
	sent, _, err := e.State.Sent()
	if err != nil {
		return nil, err
	}
	return e.pruner(dryRun).Prune(ctx, source, e.protected(&sent)), nil
}

func (e *Engine) pruner(dryRun bool) prune.Pruner {
	return prune.Pruner{ZFS: e.ZFS, DryRun: dryRun,
		Retention: plan.Retention{Prefix: e.Config.Replication.Prefix, Keep: e.Config.Replication.Keep}}
}
