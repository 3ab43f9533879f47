package failover

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// roleLock is held by the process that changes this node's role.
const roleLock = "reconcile"

// lookEvery is how often a transition checks for a newer request that turns it round.
const lookEvery = 50 * time.Millisecond

// errTurned ends a transition that a newer request turns round.
var errTurned = errors.New("a newer request asks for the opposite")

// LockRole takes the lock of the process that changes this node's role.
func (n *Node) LockRole(ctx context.Context) (*state.Lock, error) {
	return n.State.WaitLock(ctx, roleLock)
}

// Reconcile gives the node the role that the newest request asks for. It returns once
// the node has it, or has failed to get it. It waits for another process that does the
// same, and follows requests that come meanwhile.
func (n *Node) Reconcile(ctx context.Context) error {
	lock, err := n.LockRole(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := n.converge(ctx); err != nil {
		return err
	}
	// A demotion that has left something behind is answered, but not done.
	return n.demoteAgain(ctx, n.unfinished, "leftovers of the last demotion")
}

// converge is Reconcile under its lock.
func (n *Node) converge(ctx context.Context) error {
	var last error
	for {
		request, found, err := n.Request()
		if err != nil || !found {
			return err
		}
		role, err := n.State.Role()
		if err != nil {
			return err
		}
		if rules.Answered(role, n.Boot, request) {
			return last
		}
		last = n.pursue(ctx, role, request)
		if ctx.Err() != nil {
			return last
		}
		// A request that could not be answered, not even by a failure, would be
		// tried again without end.
		if answered, err := n.State.Role(); err != nil || answered.RequestSeq == role.RequestSeq && !errors.Is(last, errTurned) {
			return errors.Join(last, err)
		}
	}
}

// pursue follows one request, until a newer one asks for the opposite.
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
				if newest, found, err := n.Request(); err == nil && found && rules.Turns(request, newest) {
					cancel(errTurned)
				}
			}
		}
	}()
	err := n.change(ctx, role, rules.Target(request.Requested), request)
	if err != nil && errors.Is(context.Cause(ctx), errTurned) {
		return errTurned
	}
	return err
}

// change leads the node from its role to another one, as the transition table
// says. The caller holds the role's lock.
func (n *Node) change(ctx context.Context, role state.RoleFile, to state.Role, request state.Request) error {
	way := rules.Next(role.In(n.Boot), to, rules.GuardOf(role, n.Boot))
	switch way.Work {
	case rules.Promote, rules.LookOver:
		return n.promote(ctx, role, way, request)
	default:
		return n.demote(ctx, role, way, request)
	}
}

// DemoteAgain demotes a node that was demoted before, if its role is still one that
// fits.
func (n *Node) DemoteAgain(ctx context.Context, fits func(state.RoleFile) bool, why string) error {
	lock, err := n.LockRole(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	return n.demoteAgain(ctx, fits, why)
}

// unfinished reports whether the last demotion left something running or writable.
func (n *Node) unfinished(f state.RoleFile) bool { return rules.Unfinished(f, n.Boot) }

// demoteAgain is DemoteAgain under its lock.
func (n *Node) demoteAgain(ctx context.Context, fits func(state.RoleFile) bool, why string) error {
	role, err := n.State.Role()
	if err != nil || !fits(role) {
		return err
	}
	to := role.Role
	if n.unfinished(role) {
		to = role.Transition.To
	}
	return n.change(ctx, role, to, state.Request{Seq: role.RequestSeq, Requested: state.RequestFault, Source: state.SourceGuard, Reason: why})
}
