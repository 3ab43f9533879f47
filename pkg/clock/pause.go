package clock

import (
	"context"
	"time"
)

// Pause waits for d, or returns why ctx has ended before. A d of 0 or less does not
// wait.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
