package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// LastSendTimeout bounds a run of zfs-replicate while nothing serves.
const LastSendTimeout = 2 * time.Minute

// UndoneError is a switchover that failed halfway: everything runs here again.
type UndoneError struct{ Err error }

func (e *UndoneError) Error() string {
	return "switchover: everything runs here again: " + e.Err.Error()
}

func (e *UndoneError) Unwrap() error { return e.Err }

// ExitCode is 1, whatever the part that failed ends with.
func (e *UndoneError) ExitCode() int { return exit.Failed }

// Hint returns the hint of the failure or, without one, the command to check both
// nodes.
func (e *UndoneError) Hint() string {
	if hint := exit.Hint(e.Err); hint != "" {
		return hint
	}
	return "check both nodes with failover-notify doctor, then try again"
}

// Send sends the unreplicated changes to another node, within LastSendTimeout.
type Send func(ctx context.Context) error

// fallback replaces a handover that has failed.
type fallback func(ctx context.Context, t *transition, request state.Request, cause error) error

// HandOver stops the services, releases the data, sends the unreplicated changes,
// and leaves the virtual IP to another node. Whatever fails before that starts
// everything here again.
func (n *Node) HandOver(ctx context.Context, peer config.Node, send Send) error {
	return n.handOver(ctx, peer, send, n.takeBack)
}

// HandOverOrStepDown is HandOver for a node whose keepalived is about to stop:
// whatever fails, it steps down nevertheless. To start everything again only for
// keepalived to stop would keep another node waiting.
func (n *Node) HandOverOrStepDown(ctx context.Context, peer config.Node, send Send) error {
	return n.handOver(ctx, peer, send, func(ctx context.Context, t *transition, request state.Request, cause error) error {
		return n.stepDownInstead(ctx, t, peer, request, cause)
	})
}

func (n *Node) handOver(ctx context.Context, peer config.Node, send Send, instead fallback) error {
	lock, err := n.LockRole(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	current, role, err := n.Role()
	if err != nil {
		return err
	}
	request, found, err := n.Request()
	if err != nil {
		return err
	}
	if current != state.RoleActive || !found || request.Requested != state.RequestMaster {
		return rules.NotReady(n.Self.Name, "it is no longer active", "look at failover-notify status")
	}
	way := rules.Next(current, state.RoleStandby, rules.HandingOver)
	t, err := n.begin(role, way, state.Request{
		Seq: request.Seq, Requested: state.RequestBackup, Source: state.SourceOperator, Reason: "switchover to " + peer.Name})
	if err != nil {
		return err
	}
	if err := n.handOverSteps(ctx, t, peer, send); err != nil {
		return instead(ctx, t, request, err)
	}
	if err := t.end(rules.Done, nil); err != nil {
		return err
	}
	// Also when the operator ends the switchover right now: a standby that has the
	// virtual IP and keeps it would serve nothing.
	err = n.leaveAddress(context.WithoutCancel(ctx), peer)
	n.Lease.Release()
	return err
}

func (n *Node) handOverSteps(ctx context.Context, t *transition, peer config.Node, send Send) error {
	if err := t.set(func(f *state.RoleFile) { f.Transition.Handover = peer.Name }); err != nil {
		return err
	}
	if left := n.stopAndRelease(ctx, t); len(left) > 0 {
		return &LeftoverError{left}
	}
	if !n.Data.Configured() {
		return ctx.Err()
	}
	return t.step(ctx, rules.SendRestStep, peer.Name, LastSendTimeout, send)
}

// leaveAddress makes this node ineligible, so that the peer gets the virtual IP.
func (n *Node) leaveAddress(ctx context.Context, peer config.Node) error {
	return n.ChangeEligibility(ctx, func(reasons []state.Ineligible) []state.Ineligible {
		return rules.With(reasons, state.Ineligible{Kind: state.IneligibleHandover, Text: "handing over to " + peer.Name, Since: n.Now(), Node: peer.Name})
	})
}

// ReclaimAddress makes this node eligible again after a handover; keepalived and the
// watcher do the rest.
func (n *Node) ReclaimAddress(ctx context.Context) error {
	return n.ChangeEligibility(ctx, func(last []state.Ineligible) []state.Ineligible {
		return rules.Without(last, state.IneligibleHandover)
	})
}

// takeBack starts everything here again: the virtual IP has not moved.
func (n *Node) takeBack(ctx context.Context, t *transition, request state.Request, cause error) error {
	// Also when the operator has ended the switchover.
	ctx = context.WithoutCancel(ctx)
	n.Log.Warn().Err(cause).Msg("switchover failed: starting everything here again")
	if err := t.end(rules.Failed, cause); err != nil {
		return errors.Join(cause, err)
	}
	request.Reason = "the switchover failed"
	if err := n.change(ctx, t.current(), state.RoleActive, request); err != nil {
		return fmt.Errorf("%w; starting everything here again failed: %w", cause, err)
	}
	return &UndoneError{cause}
}

// stepDownInstead makes this node a standby although its changes could not be sent.
func (n *Node) stepDownInstead(ctx context.Context, t *transition, peer config.Node, request state.Request, cause error) error {
	ctx = context.WithoutCancel(ctx)
	n.Log.Warn().Err(cause).Str("to", peer.Name).Msg("handover failed: stepping down without it")
	if err := t.end(rules.Failed, cause); err != nil {
		return err
	}
	err := n.change(ctx, t.current(), state.RoleStandby, state.Request{
		Seq: request.Seq, Requested: state.RequestStop, Source: state.SourceGuard, Reason: "keepalived stops"})
	if left := n.leaveAddress(ctx, peer); left != nil {
		n.Log.Warn().Err(left).Msg("virtual IP not released: it moves once keepalived has stopped")
	}
	if err != nil {
		return fmt.Errorf("drain: %w; stepping down without a handover failed: %w", cause, err)
	}
	return fmt.Errorf("drain: this node has stepped down, and its unreplicated changes are not on %s: %w", peer.Name, cause)
}
