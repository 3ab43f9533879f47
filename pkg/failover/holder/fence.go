package holder

import (
	"context"
	"time"
)

// lastMoment is how long before the lease ends the datasets become read-only,
// however far stopping the services has come.
const lastMoment = 2 * time.Second

// FenceInTime makes the datasets read-only, by fence, right before the lease expires,
// if the services have not stopped by then. The function that it returns ends that,
// and waits for a fence in progress.
func (h *Holder) FenceInTime(ctx context.Context, step Step, fence func(context.Context) error) (stop func()) {
	if h == nil {
		return func() {}
	}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if h.Left() > lastMoment {
				continue
			}
			// The release of the data reports any failure.
			_ = step(ctx, "fence", "", h.Config.Failover.DatasetTimeout, fence)
			return
		}
	}()
	return func() {
		close(over)
		<-done
	}
}
