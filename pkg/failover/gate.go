package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/state"
)

// RefusedError is a promotion that must not go on.
type RefusedError struct {
	// Kind is the reason against this node that comes of it: one of
	// state.Ineligible…
	Kind string
	Text string
	What string // what to do next
}

func (e *RefusedError) Error() string { return "refused to become active: " + e.Text }

// ExitCode is 76, EX_PROTOCOL of sysexits.h: a refusal.
func (e *RefusedError) ExitCode() int { return exit.Refused }

// Hint says what to do next.
func (e *RefusedError) Hint() string { return e.What }

// AskStep is the step of a promotion in which another node is asked what it is. It
// is skipped where that node is up and can't be asked.
const AskStep = "ask"

const (
	// pollPeer is how often a node that has to stop first is asked again.
	pollPeer = 250 * time.Millisecond
	// conflictAfter is how long another node may still be active and hold the
	// address, before that is a conflict and no delay.
	conflictAfter = 3 * time.Second
)

// gate says whether this node may become active: nothing speaks against it, it
// is not cut off, and every other node that can be asked has stopped. It returns
// the newest term that is known anywhere.
func (n *Node) gate(ctx context.Context, t *transition, request state.Request) (newest uint64, err error) {
	err = t.step(ctx, "eligible", "", recordTimeout, func(context.Context) error { return n.mayPromote() })
	if err != nil {
		return 0, err
	}
	if len(n.Config.Witness.Targets) > 0 {
		err = t.step(ctx, "witness", "", n.Config.Witness.Timeout+time.Second, func(ctx context.Context) error {
			if answer := n.Witness(ctx); !answer.Reachable {
				return &RefusedError{state.IneligibleRefused, "this node is cut off: " + answer.String(),
					"look at this node's network; it may take over once a witness answers"}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	newest = max(t.current().NewestTerm, n.receivedTerm())
	others := n.others()
	asking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	answers := make(chan Answer)
	for _, peer := range others {
		go func() {
			a := Answer{Node: peer}
			a.Err = t.step(asking, AskStep, peer.Name, n.Config.Failover.PeerStop+n.Config.Failover.PeerTimeout, func(ctx context.Context) (err error) {
				a.State, err = n.awaitPeer(ctx, peer, request)
				return err
			})
			if _, passed := errors.AsType[skipped](a.Err); passed {
				a.Err = nil
			}
			answers <- a
		}()
	}
	var failed []error
	var yields error
	for range others {
		a := <-answers
		newest = max(newest, a.State.NewestTerm, a.State.Term)
		failed = append(failed, a.Err)
		if a.Err == nil && yields == nil {
			if yields = n.yieldTo(a.State, t.current(), request); yields != nil {
				stop(yields) // the others need not be waited for
			}
		}
	}
	if yields != nil {
		return newest, yields
	}
	return newest, errors.Join(failed...)
}

// mayPromote says what speaks against this node by itself.
func (n *Node) mayPromote() error {
	eligibility, found, err := n.State.Eligibility()
	if err != nil {
		return err
	}
	if !found || !state.Shown(n.Config.RunDir) && len(eligibility.Reasons) == 0 {
		return &RefusedError{state.IneligibleBoot, "this node has not joined its pair in this boot", "run: failover-notify join"}
	}
	var texts []string
	for _, r := range eligibility.Reasons {
		texts = append(texts, r.Text)
	}
	if len(texts) > 0 {
		return &RefusedError{eligibility.Reasons[0].Kind, strings.Join(texts, "; "), "look at failover-notify status; failover-notify release lifts what a person may lift"}
	}
	return nil
}

// awaitPeer returns once another node is no obstacle: it is down, or has stopped
// its services and given its data up. Where witnesses are configured, one that
// can't be reached gets the time in which it notices that it is cut off. It returns
// what that node has said last, nothing but its term when it is down. A node that is
// up and can't be asked is passed over, which is returned as skipped: its keepalived
// is silent, and a machine whose disk has failed still takes connections.
func (n *Node) awaitPeer(ctx context.Context, peer config.Node, request state.Request) (said PeerState, err error) {
	began := n.Now()
	for {
		answer, err := n.Peers.Ask(ctx, peer)
		if ctx.Err() != nil {
			return said, ctx.Err()
		}
		waited := n.Now().Sub(began)
		if err != nil {
			_, down := errors.AsType[*UnreachableError](err)
			if !down && waited < n.Config.Failover.PeerTimeout {
				// It is up, but does not say what it is.
				if err := pause(ctx, pollPeer); err != nil {
					return said, err
				}
				continue
			}
			n.Log.Warn().Err(err).Str("node", peer.Name).Msg("becoming active without this node's answer")
			if len(n.Config.Witness.Targets) > 0 {
				if err := pause(ctx, request.Time.Add(n.Config.Witness.Delay).Sub(n.Now())); err != nil {
					return said, err
				}
			}
			if !down {
				return PeerState{NewestTerm: said.NewestTerm}, skipped("passed over: it is up, but can't be asked what it is, and may still write: " + err.Error())
			}
			return PeerState{NewestTerm: said.NewestTerm}, nil
		}
		answer.NewestTerm = max(said.NewestTerm, answer.NewestTerm, answer.Term)
		said = answer
		if !answer.Writers {
			return said, nil
		}
		if err := obstacle(answer, waited, n.Config.Failover.PeerStop); err != nil {
			return said, err
		}
		if err := pause(ctx, pollPeer); err != nil {
			return said, err
		}
	}
}

// obstacle judges a node that may still write: nil is to ask again.
func obstacle(peer PeerState, waited, patience time.Duration) error {
	active := peer.Role == state.RoleActive && peer.Requested == state.RequestMaster && peer.HoldsAddress
	switch {
	case active && waited > conflictAfter:
		return &RefusedError{state.IneligibleConflict, fmt.Sprintf("%s is active under term %d and holds the floating address", peer.Node, peer.Term),
			"one of the two has to give way: look at failover-notify status on both; then failover-notify release here"}
	case waited > patience:
		return &RefusedError{state.IneligibleRefused, fmt.Sprintf("%s has been asked for %.0f s and is still %s: %s", peer.Node, waited.Seconds(), peer.Role, peer.Reason),
			"look at failover-notify status on " + peer.Node + ": it could not stop its services or give up its data"}
	}
	return nil
}

// pause waits, or returns why it could not.
func pause(ctx context.Context, d time.Duration) error {
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
