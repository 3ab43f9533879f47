package self

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// RecordRequest records the request of this process. keepalived starts its hooks in
// the right order, but they run in any: what counts is when this process was
// started. keepalived makes several requests for one change, and the same request
// again is none then; an operator's always is a new one.
func (r *Records) RecordRequest(ctx context.Context, requested state.RequestedRole, reason string) (state.Request, error) {
	started, err := r.Host.Started()
	if err != nil {
		return state.Request{}, err
	}
	source := state.SourceOperator
	if r.Host.ByKeepalived() {
		source = state.SourceKeepalived
	}
	return r.record(ctx, state.Request{Requested: requested, Source: source, Reason: reason, Started: started}, source == state.SourceOperator)
}

// Submit records a request of this resident process, which is as new as this moment.
// The same request again is none.
func (r *Records) Submit(ctx context.Context, requested state.RequestedRole, source, reason string) error {
	return r.submit(ctx, requested, source, reason, false)
}

// SubmitAgain is Submit for a request that is a new one also when it is the newest
// already.
func (r *Records) SubmitAgain(ctx context.Context, requested state.RequestedRole, source, reason string) error {
	return r.submit(ctx, requested, source, reason, true)
}

func (r *Records) submit(ctx context.Context, requested state.RequestedRole, source, reason string, again bool) error {
	now, err := r.Clock.SinceBoot()
	if err != nil {
		return err
	}
	_, err = r.record(ctx, state.Request{Requested: requested, Source: source, Reason: reason, Started: ticks(now)}, again)
	return err
}

func (r *Records) record(ctx context.Context, request state.Request, again bool) (state.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	request.Time, request.Boot, request.PID = r.Now(), r.Boot, r.Host.PID()
	return r.State.RecordRequest(ctx, request, again)
}

// Request returns the newest request of this boot; found is false when there was
// none yet: a request of an earlier boot says nothing about now.
func (r *Records) Request() (request state.Request, found bool, err error) {
	request, found, err = r.State.Request()
	return request, found && request.Boot == r.Boot, err
}

// ticksPerSecond is USER_HZ, the unit of times in /proc, on all of Linux's
// architectures that Go knows.
const ticksPerSecond = 100

// ticks returns a time since the boot in the unit of processes' start times.
func ticks(sinceBoot time.Duration) uint64 { return uint64(sinceBoot * ticksPerSecond / time.Second) }
