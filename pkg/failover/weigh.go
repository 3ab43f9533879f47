package failover

import (
	"context"
	"slices"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Learn records the newest term that others have seen. The caller holds the lock of
// the role.
//
// An active node takes a newer term when another one, which is no longer active, has
// used a term of its own. Its writes from then on are the history of the pair and must
// not count as the older ones. The writes of the other node are then unreplicated;
// replication finds them and leaves them alone.
func (n *Node) Learn(answers []Answer) error {
	current, before, err := n.Role()
	if err != nil {
		return err
	}
	peers, silent := Answered(answers)
	role := rules.HearTerms(before, peers)
	if current == state.RoleActive && rules.UsedUp(role, peers) && len(silent) == 0 && !rules.AnotherWrites(peers) {
		role = rules.TakeNewerTerm(role)
		n.Log.Info().Uint64("term", role.Term).Msg("another node has used a newer term: taking the next one")
	}
	if role.NewestTerm == before.NewestTerm {
		return nil
	}
	return n.State.SetRole(role)
}

// Weigh decides again, by the answers of the others, whether this node is eligible.
// Reasons that only the operator ends stay.
func (n *Node) Weigh(ctx context.Context, answers []Answer) error {
	_, role, err := n.Role()
	if err != nil {
		return err
	}
	at := n.JoinedAt()
	if at.IsZero() {
		return nil
	}
	s := rules.Situation{
		Now: n.Now(), Self: role, Data: n.Data.Configured(), Received: n.ReceivedTerm(),
		Joined: at, Wait: n.Config.Failover.JoinWait, Handover: n.Config.Failover.PeerStop,
		Highest:  !slices.ContainsFunc(answers, func(a Answer) bool { return a.Node.Priority > n.Self.Priority }),
		Isolated: n.isolated(ctx),
	}
	s.Peers, s.Silent = Answered(answers)
	if ctx.Err() != nil {
		return ctx.Err() // what was not waited for says nothing
	}
	return n.ChangeEligibility(ctx, func(last []state.Ineligible) []state.Ineligible {
		// A node that is about to stop has a reason to.
		request, found, err := n.Request()
		stops := err == nil && found && request.Requested != state.RequestMaster
		return rules.Weigh(s, last, role.Serving(n.Boot) && !stops)
	})
}

// isolated reports whether no witness answers, or no etcd, where some are configured.
func (n *Node) isolated(ctx context.Context) bool {
	if len(n.Config.Witness.Targets) > 0 && !n.Witness(ctx).Reachable {
		return true
	}
	_, _, err := n.Lease.Current(ctx)
	return err != nil
}
