package failover

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// lookEvery is how often a transition looks whether a newer request turns it
// round.
const lookEvery = 50 * time.Millisecond

// Reconcile makes the node what the newest request asks for, and returns when
// it is, or could not be made. Another process that does so is waited for. An
// request that comes in the meantime is followed as well.
func (n *Node) Reconcile(ctx context.Context) error {
	lock, err := n.State.WaitLock(ctx, reconcileLock)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := n.converge(ctx); err != nil {
		return err
	}
	// A demotion that has left something behind has been answered, but not done.
	return n.demoteAgain(ctx, unfinished, "what was left before")
}

// converge is Reconcile under its lock.
func (n *Node) converge(ctx context.Context) error {
	var last error
	for {
		request, found, err := n.request()
		if err != nil || !found {
			return err
		}
		role, err := n.State.Role()
		if err != nil {
			return err
		}
		if role.Boot == n.Boot && role.RequestSeq == request.Seq && settled(role.Role) {
			return last
		}
		last = n.pursue(ctx, role, request)
		if ctx.Err() != nil {
			return last
		}
		// An request that could not be answered, not even by a failure, would be
		// tried again without end.
		if answered, err := n.State.Role(); err != nil || answered.RequestSeq == role.RequestSeq && !errors.Is(last, errTurned) {
			return errors.Join(last, err)
		}
	}
}

// settled says whether a node with this role is not on its way.
func settled(role state.Role) bool {
	return role != state.RolePromoting && role != state.RoleDemoting
}

// pursue follows one request, until a newer one asks for something else.
func (n *Node) pursue(ctx context.Context, role state.RoleFile, request state.Request) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if newest, found, err := n.request(); err == nil && found && turns(request, newest) {
					cancel(errTurned)
				}
			}
		}
	}()
	var err error
	switch request.Requested {
	case state.RequestMaster:
		err = n.promote(ctx, role, request)
	case state.RequestFault:
		err = n.demote(ctx, role, request, state.RoleFault)
	default:
		err = n.demote(ctx, role, request, state.RoleStandby)
	}
	if err != nil && errors.Is(context.Cause(ctx), errTurned) {
		return errTurned
	}
	return err
}

// turns says whether a newer request asks for the opposite.
func turns(old, newest state.Request) bool {
	return newest.Seq != old.Seq && (newest.Requested == state.RequestMaster) != (old.Requested == state.RequestMaster)
}

// interrupted ends a transition whose context has ended.
func interrupted(ctx context.Context, t *transition) error {
	cause := context.Cause(ctx)
	return errors.Join(cause, t.end(state.RoleUnknown, state.OutcomeInterrupted, cause))
}
