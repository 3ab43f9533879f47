package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// PollPeer is how often a node that is waited for is asked again.
	PollPeer = 250 * time.Millisecond
	// recordTimeout bounds reading this node's own records.
	recordTimeout = 2 * time.Second
)

// gate lets a promotion continue once this node is eligible and not isolated, and
// every other node that can be asked has stopped. It returns the newest term that
// is known anywhere.
func (n *Node) gate(ctx context.Context, t *transition, request state.Request) (newest uint64, err error) {
	err = t.step(ctx, "eligible", "", recordTimeout, func(context.Context) error { return n.mayPromote() })
	if err != nil {
		return 0, err
	}
	if len(n.Config.Witness.Targets) > 0 {
		err = t.step(ctx, "witness", "", n.Config.Witness.Timeout+time.Second, func(ctx context.Context) error {
			if answer := n.Witness(ctx); !answer.Reachable {
				return &rules.RefusedError{Kind: state.IneligibleRefused, Text: "this node is isolated: " + answer.String(),
					What: "check this node's network; it may take over once a witness answers"}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	newest = max(t.current().NewestTerm, n.ReceivedTerm())
	others := n.Others()
	asking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	answers := make(chan Answer)
	for _, peer := range others {
		go func() {
			a := Answer{Node: peer}
			a.Err = t.step(asking, rules.AskStep, peer.Name, n.Config.Failover.PeerStop+n.Config.Failover.PeerTimeout, func(ctx context.Context) (err error) {
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

// mayPromote refuses the promotion of a node that is not eligible.
func (n *Node) mayPromote() error {
	eligibility, found, err := n.State.Eligibility()
	if err != nil {
		return err
	}
	return rules.MayPromote(eligibility, found, n.ShownEligible())
}

// awaitPeer returns once another node is no obstacle: it is off, or has stopped its
// services and released its data. Where witnesses are configured, an unreachable node
// first gets the time in which it notices its isolation. awaitPeer returns the last
// answer of that node; of a node that is off, only its newest term.
//
// A node that is up but does not answer is passed over, and the error is skipped. Its
// keepalived is silent, and a machine whose disk has failed still accepts connections.
func (n *Node) awaitPeer(ctx context.Context, peer config.Node, request state.Request) (said rules.PeerState, err error) {
	began := n.Now()
	for {
		answer, err := n.Peers.Ask(ctx, peer)
		if ctx.Err() != nil {
			return said, ctx.Err()
		}
		waited := n.Now().Sub(began)
		if err != nil {
			_, down := errors.AsType[*remote.UnreachableError](err)
			if !down && waited < n.Config.Failover.PeerTimeout {
				// It is up, but does not report its state.
				if err := clock.Pause(ctx, PollPeer); err != nil {
					return said, err
				}
				continue
			}
			n.Log.Warn().Err(err).Str("node", peer.Name).Msg("becoming active without an answer from this node")
			if len(n.Config.Witness.Targets) > 0 {
				if err := clock.Pause(ctx, request.Time.Add(n.Config.Witness.Delay).Sub(n.Now())); err != nil {
					return said, err
				}
			}
			if !down {
				return rules.PeerState{NewestTerm: said.NewestTerm}, skipped("passed over: it is up, but can't be asked what it is, and may still write: " + err.Error())
			}
			return rules.PeerState{NewestTerm: said.NewestTerm}, nil
		}
		answer.NewestTerm = max(said.NewestTerm, answer.NewestTerm, answer.Term)
		said = answer
		if !answer.Writers {
			return said, nil
		}
		if err := rules.Obstacle(answer, waited, n.Config.Failover.PeerStop); err != nil {
			return said, err
		}
		if err := clock.Pause(ctx, PollPeer); err != nil {
			return said, err
		}
	}
}

// yieldTo refuses a promotion in favour of another node: one to which the virtual
// IP is being handed over, or one that has newer data. peer is what one of the
// others has answered. An operator's request comes first.
func (n *Node) yieldTo(peer rules.PeerState, role state.RoleFile, request state.Request) error {
	if !n.Address.Configured() || request.Source == state.SourceOperator {
		return nil
	}
	if to := peer.HandsTo(); to != "" && to != n.Self.Name {
		return rules.YieldsTo(to, fmt.Sprintf("%s is handing over to %s", peer.Node, to))
	}
	if !n.Data.Configured() || !rules.Fresher(peer, role, n.Replica()) {
		return nil
	}
	// A node that does not take the virtual IP must not keep everything from being
	// served.
	var last state.Yielded
	found, err := n.State.Read(state.YieldedName, &last)
	if err != nil || found && last.Boot == n.Boot && n.Now().Sub(last.Time) < rules.YieldAgain {
		n.Log.Warn().Err(err).Str("node", peer.Node).Msg("this node has newer data but has not taken over: becoming active with older data")
		return nil
	}
	if err := n.State.Write(state.YieldedName, state.Yielded{To: peer.Node, Boot: n.Boot, Time: n.Now()}); err != nil {
		return err
	}
	return rules.YieldsTo(peer.Node, peer.Node+" has newer data and is eligible")
}
