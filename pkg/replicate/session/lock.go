package session

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// SenderLock is held by whatever changes datasets from this node: a run, a prune, a
// rejoin.
const SenderLock = "zfs-replicate"

// lockInterval is how often a lock is tried that another session holds.
const lockInterval = 200 * time.Millisecond

// WaitForLock keeps apart the sessions that change something on a node. It waits for
// another one as long as that takes to notice that its link is dead: stall, and some
// time to end.
func WaitForLock(ctx context.Context, dir *state.Dir, node string, stall time.Duration) (*state.Lock, error) {
	timeout := time.NewTimer(stall + 5*time.Second)
	defer timeout.Stop()
	for {
		lock, err := dir.Lock("receiver-" + node)
		if _, held := errors.AsType[*state.LockedError](err); !held {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			return nil, err
		case <-time.After(lockInterval):
		}
	}
}
