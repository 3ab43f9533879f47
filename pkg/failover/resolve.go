package failover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/state"
)

// resolveTimeout bounds what the other node does for a resolve: it may copy what
// only it has.
const resolveTimeout = 2 * time.Hour

// UnresolvedError is a conflict that can't be ended in this way, or not now.
type UnresolvedError struct {
	Text   string
	Advice string
}

func (e *UnresolvedError) Error() string { return "resolve: " + e.Text }

// ExitCode is 76, EX_PROTOCOL of sysexits.h: a refusal.
func (e *UnresolvedError) ExitCode() int { return exit.Refused }

// Hint says what to do next.
func (e *UnresolvedError) Hint() string { return e.Advice }

// Resolve ends a conflict: the node of that name stays, or becomes, active, and
// the other one gives way, keeps all that only it has, and is a standby. It can
// be called on either, and again. keep may be empty on a node that gives way.
func (n *Node) Resolve(ctx context.Context, keep string) error {
	if keep != n.Self.Name {
		peer, err := n.named(keep)
		if err != nil {
			return err
		}
		return n.giveWay(ctx, peer)
	}
	peer, err := n.named(n.rival(ctx))
	if err != nil {
		return err
	}
	if _, err := n.Peers.Ask(ctx, peer); err != nil {
		return n.silent(peer, err)
	}
	return n.Remote(ctx, peer, resolveTimeout, "resolve", "--give-way")
}

// rival is the name of the only node that is in a conflict with this one; "" where
// that can't be told.
func (n *Node) rival(ctx context.Context) string {
	var rivals []string
	for _, a := range n.askAll(ctx) {
		if a.Err == nil && (a.State.Writers || has(a.State.Reasons, state.IneligibleConflict)) {
			rivals = append(rivals, a.Node.Name)
		}
	}
	if len(rivals) != 1 {
		return ""
	}
	return rivals[0]
}

// named is the other node of that name or, without one, the only other node.
func (n *Node) named(name string) (config.Node, error) {
	others := n.others()
	for _, other := range others {
		if other.Name == name || name == "" && len(others) == 1 {
			return other, nil
		}
	}
	if name == "" {
		return config.Node{}, &UnresolvedError{fmt.Sprintf("there are %d other nodes", len(others)), "run it on the node that is to give way: failover-notify resolve --keep NODE"}
	}
	return config.Node{}, &UnresolvedError{name + " is none of the nodes", "failover-notify status names them"}
}

func (n *Node) silent(peer config.Node, err error) error {
	return &UnresolvedError{fmt.Sprintf("%s can't be asked: %v", peer.Name, err), "nothing was changed; a conflict is ended with both nodes up: see that ssh works, failover-notify status"}
}

// giveWay makes this node a standby of the other one.
func (n *Node) giveWay(ctx context.Context, peer config.Node) error {
	answer, err := n.Peers.Ask(ctx, peer)
	if err != nil {
		return n.silent(peer, err)
	}
	if err := cmp.Or(n.disputed(answer), kept(answer)); err != nil {
		return err
	}
	if err := n.exclude(ctx, state.IneligibleConflict, "it gives way to "+peer.Name); err != nil {
		return err
	}
	if err := n.stepDown(ctx, peer); err != nil {
		return err
	}
	if err := n.Remote(ctx, peer, n.Config.Failover.PeerTimeout+n.Config.Failover.PeerStop, "resolve", "--stay"); err != nil {
		return err
	}
	if err := n.awaitActive(ctx, peer); err != nil {
		return err
	}
	if n.Data.Configured() {
		if err := n.Rejoin(ctx, peer.Name); err != nil {
			return fmt.Errorf("resolve: %s is active; keep what is only here: %w", peer.Name, err)
		}
	}
	err = n.changeEligibility(ctx, func(last []state.Ineligible) []state.Ineligible {
		return without(last, state.IneligibleConflict)
	})
	return errors.Join(err, n.weigh(ctx, n.askAll(ctx)))
}

// disputed refuses where this node is active and nothing speaks of a conflict: it
// would put aside what only it has, and lose time, for nothing.
func (n *Node) disputed(peer PeerState) error {
	role, err := n.State.Role()
	if err != nil || role.Boot != n.Boot || role.Role != state.RoleActive {
		return err
	}
	eligibility, _, err := n.State.Eligibility()
	if err != nil {
		return err
	}
	if peer.Writers || has(peer.Reasons, state.IneligibleConflict) || has(eligibility.Reasons, state.IneligibleConflict) {
		return nil
	}
	for _, sent := range n.replicationStatus().Sent {
		if sent.Node == peer.Node && len(sent.Conflicts) > 0 {
			return nil
		}
	}
	return &UnresolvedError{fmt.Sprintf("%s is active, %s is %s, and no conflict is known", n.Self.Name, peer.Node, peer.Role),
		"to hand over without loss: failover-notify switchover; if both have written, zfs-replicate run finds it"}
}

// lifted are the reasons against a node that it lifts when it is the one that is
// kept.
var lifted = []string{state.IneligibleConflict, state.IneligibleReplica, state.IneligibleRefused, state.IneligibleWaiting}

// kept refuses to give way to a node that would not become active.
func kept(peer PeerState) error {
	left := without(slices.Clone(peer.Reasons), lifted...)
	if peer.Role == state.RoleActive || len(left) == 0 {
		return nil
	}
	return &UnresolvedError{fmt.Sprintf("%s would not become active: %s", peer.Node, Words(left)),
		"nothing was changed; on " + peer.Node + ": failover-notify status, then failover-notify release"}
}

// stepDown stops the services and gives the data up, if this node is active.
func (n *Node) stepDown(ctx context.Context, peer config.Node) error {
	role, err := n.State.Role()
	if err != nil {
		return err
	}
	if role.Boot == n.Boot && role.Role == state.RoleStandby {
		return nil
	}
	if err := n.submitOnce(ctx, state.RequestBackup, state.SourceOperator, "gives way to "+peer.Name); err != nil {
		return err
	}
	if err := n.Reconcile(ctx); err != nil {
		return fmt.Errorf("resolve: give way to %s: %w", peer.Name, err)
	}
	if role, err = n.State.Role(); err != nil {
		return err
	}
	if writes(role) {
		return &UnresolvedError{fmt.Sprintf("this node is still %s: %s", role.Role, role.Reason), "look at failover-notify status; then run it again"}
	}
	return nil
}

// awaitActive waits until the other node is active.
func (n *Node) awaitActive(ctx context.Context, peer config.Node) error {
	ctx, cancel := context.WithTimeout(ctx, n.Config.Failover.PeerStop+n.Config.Services.StartTimeout)
	defer cancel()
	for {
		answer, err := n.Peers.Ask(ctx, peer)
		if err == nil && answer.Role == state.RoleActive {
			return nil
		}
		if pause(ctx, pollPeer) != nil {
			return &UnresolvedError{fmt.Sprintf("%s has not become active; this node has given way, and nothing was rolled back", peer.Name),
				"make it active (see that keepalived runs there, or failover-notify master), then run this again"}
		}
	}
}

// Stay is what the node that is kept does: nothing speaks against it any more,
// and its term is the newest.
func (n *Node) Stay(ctx context.Context) error {
	answers := n.askAll(ctx)
	peers, _ := answered(answers)
	if other := newest(peers, func(p PeerState) bool { return p.Writers }); other != nil {
		return &UnresolvedError{other.Node + " has not given way", "run failover-notify resolve --keep " + n.Self.Name + " there"}
	}
	lock, err := n.State.WaitLock(ctx, reconcileLock)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	role, err := n.State.Role()
	if err != nil {
		return err
	}
	for _, p := range peers {
		role.NewestTerm = max(role.NewestTerm, p.NewestTerm, p.Term)
	}
	if role.Role == state.RoleActive && role.Boot == n.Boot && usedUp(role, peers) {
		role.Term = max(role.NewestTerm, role.Term) + 1
		role.ActiveTerm, role.NewestTerm = role.Term, role.Term
		n.Log.Info().Uint64("term", role.Term).Msg("this node stays active, under a newer term")
	}
	if err := n.State.SetRole(role); err != nil {
		return err
	}
	return n.changeEligibility(ctx, func(last []state.Ineligible) []state.Ineligible {
		return without(last, lifted...)
	})
}

// rejoin keeps what is only here, and rolls back to what the active node has.
func (n *Node) rejoin(ctx context.Context, from string) error {
	argv := []string{"zfs-replicate", "rejoin", "--yes", "--from", from}
	if file := n.Config.File(); file != "" {
		argv = append(argv, "--config", file)
	}
	return n.patiently(ctx, resolveTimeout, argv)
}

// remote runs failover-notify on another node.
func (n *Node) remote(ctx context.Context, peer config.Node, timeout time.Duration, args ...string) error {
	command := n.Config.Failover.RemoteCommand
	how := remote.Over(n.Config.SSH, peer)
	_, err := n.Runner.Output(ctx, timeout, how.Argv(append([]string{command}, args...)...)...)
	if err != nil {
		return fmt.Errorf("resolve on %s: %w", peer.Name, how.Explain(command, err))
	}
	return nil
}
