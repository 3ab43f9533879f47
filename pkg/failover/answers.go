package failover

import (
	"context"
	"fmt"
	"sync"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Answer is what one of the other nodes answered, or why it did not.
type Answer struct {
	Node  config.Node
	State rules.PeerState
	Err   error
}

// AskAll asks all other nodes in parallel. A node that holds the lease and does not
// answer counts as active.
func (n *Node) AskAll(ctx context.Context) []Answer {
	others := n.Others()
	answers := make([]Answer, len(others))
	var asked sync.WaitGroup
	for i, other := range others {
		asked.Go(func() {
			answer, err := n.Peers.Ask(ctx, other)
			answers[i] = Answer{other, answer, err}
		})
	}
	asked.Wait()
	n.byLease(ctx, answers)
	return answers
}

// Answered splits answers into those that came and the names of those that
// did not.
func Answered(answers []Answer) (peers []rules.PeerState, silent []string) {
	for _, a := range answers {
		if a.Err != nil {
			silent = append(silent, a.Node.Name)
		} else {
			peers = append(peers, a.State)
		}
	}
	return peers, silent
}

// byLease fills in the holder of the lease where it does not answer: it is active,
// also when this node cannot reach it.
func (n *Node) byLease(ctx context.Context, answers []Answer) {
	_, silent := Answered(answers)
	if len(silent) == 0 {
		return
	}
	holder, found, err := n.Lease.Current(ctx)
	if err != nil || !found {
		return
	}
	for i, a := range answers {
		if a.Err == nil || a.Node.Name != holder.Node {
			continue
		}
		term := max(holder.Term, holder.Revision)
		answers[i] = Answer{Node: a.Node, State: rules.PeerState{Node: holder.Node, Role: state.RoleActive, Term: term, NewestTerm: term,
			ActiveTerm: term, Writers: true, Since: holder.Since, Boot: holder.Boot, Time: n.Now(), ByLease: true,
			Reason: fmt.Sprintf("it holds the lease, but does not answer: %v", a.Err)}}
	}
}
