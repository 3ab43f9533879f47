package self

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// WatchLock is held by the watcher, the resident process that follows requests at
// once. Where nobody holds it, a hook has to start a reconciler.
const WatchLock = "watch"

// heartbeatSilence is how old the heartbeat may be. Beyond it the operator is alerted,
// and a hook no longer relies on the watcher: one that is frozen, or waits for a disk
// without end, still holds its lock.
const heartbeatSilence = 10 * time.Second

// Heartbeat records that the watcher has looked around, and tells systemd, which
// kills a watcher that does not.
func (r *Records) Heartbeat(ctx context.Context) error {
	now, err := r.Clock.SinceBoot()
	if err != nil {
		return err
	}
	return errors.Join(r.RunDir.Write(state.HeartbeatName, state.Heartbeat{Boot: r.Boot, At: now}), r.Host.NotifySystemd(ctx, "WATCHDOG=1"))
}

// heartbeatAge returns how long ago the watcher last looked around; 0 when it has
// not done so in this boot, or that is unknown.
func (r *Records) heartbeatAge() time.Duration {
	var last state.Heartbeat
	if found, err := r.RunDir.Read(state.HeartbeatName, &last); err != nil || !found || last.Boot != r.Boot {
		return 0
	}
	now, err := r.Clock.SinceBoot()
	if err != nil {
		return 0
	}
	return now - last.At
}

// Watched reports whether a watcher follows a request at once. held reports whether
// there is a watcher at all: it may be frozen.
func (r *Records) Watched() (watched, held bool) {
	held = r.State.Held(WatchLock)
	return held && r.heartbeatAge() < heartbeatSilence, held
}
