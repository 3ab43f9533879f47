package self

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// JoinedAt returns when this node joined in this boot, as its clock has it now; zero
// when it has not.
func (r *Records) JoinedAt() time.Time {
	var mark state.Joined
	if found, err := r.RunDir.Read(state.JoinedName, &mark); err != nil || !found || mark.Boot != r.Boot {
		return time.Time{}
	}
	if uptime, err := r.Clock.SinceBoot(); err == nil && mark.Uptime > 0 {
		return r.Now().Add(mark.Uptime - uptime).Truncate(time.Second)
	}
	return mark.Time
}

// ForgetJoined makes this node one that has not joined, which is not eligible.
//
// The run folder is made first of all: keepalived drops a track_file whose folder
// does not exist when it starts, and with it the condition.
func (r *Records) ForgetJoined(ctx context.Context) error {
	if err := r.RunDir.Make(); err != nil {
		return fmt.Errorf("begin to join: %w", err)
	}
	if err := r.RunDir.Remove(state.JoinedName); err != nil {
		return fmt.Errorf("begin to join: %w", err)
	}
	return r.ChangeEligibility(ctx, func(reasons []state.Ineligible) []state.Ineligible { return reasons })
}

// MarkJoined records that this node has joined in this boot.
func (r *Records) MarkJoined() error {
	uptime, err := r.Clock.SinceBoot()
	if err != nil {
		return err
	}
	return r.RunDir.Write(state.JoinedName, state.Joined{Boot: r.Boot, Time: r.Now(), Uptime: uptime})
}
