package move

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// resolveTimeout bounds a resolve on the other node, which may copy its unreplicated
// changes.
const resolveTimeout = 2 * time.Hour

// UnresolvedError is a conflict that cannot be resolved this way, or not now.
type UnresolvedError struct {
	Text   string
	Advice string
}

func (e *UnresolvedError) Error() string { return "resolve: " + e.Text }

// ExitCode is 76, EX_PROTOCOL of sysexits.h: a refusal.
func (e *UnresolvedError) ExitCode() int { return exit.Refused }

// Hint returns the next step.
func (e *UnresolvedError) Hint() string { return e.Advice }

// Resolve ends a conflict. The node named keep stays active, or becomes so. The other
// node steps down, preserves its unreplicated changes, and is a standby. Resolve can
// be called on either node, and repeated. On the node that steps down, keep may be
// empty.
func (m *Mover) Resolve(ctx context.Context, keep string) error {
	if keep != m.Self.Name {
		peer, err := m.named(keep)
		if err != nil {
			return err
		}
		return m.stepDownFor(ctx, peer)
	}
	peer, err := m.named(m.rival(ctx))
	if err != nil {
		return err
	}
	if _, err := m.Peers.Ask(ctx, peer); err != nil {
		return m.silent(peer, err)
	}
	return m.Remote(ctx, peer, resolveTimeout, "resolve", "--give-way")
}

// rival returns the name of the only node that is in a conflict with this node; ""
// where that is unknown.
func (m *Mover) rival(ctx context.Context) string {
	var rivals []string
	for _, a := range m.AskAll(ctx) {
		if a.Err == nil && (a.State.Writers || rules.Has(a.State.Reasons, state.IneligibleConflict)) {
			rivals = append(rivals, a.Node.Name)
		}
	}
	if len(rivals) != 1 {
		return ""
	}
	return rivals[0]
}

// named returns the other node of that name or, without one, the only other node.
func (m *Mover) named(name string) (config.Node, error) {
	others := m.Others()
	for _, other := range others {
		if other.Name == name || name == "" && len(others) == 1 {
			return other, nil
		}
	}
	if name == "" {
		return config.Node{}, &UnresolvedError{fmt.Sprintf("there are %d other nodes", len(others)), "run it on the node that is to step down: failover-notify resolve --keep NODE"}
	}
	return config.Node{}, &UnresolvedError{name + " is not one of the nodes", "failover-notify status lists them"}
}

func (m *Mover) silent(peer config.Node, err error) error {
	return &UnresolvedError{fmt.Sprintf("%s can't be asked: %v", peer.Name, err), "nothing was changed; resolving a conflict needs both nodes: check ssh, then failover-notify status"}
}

// stepDownFor makes this node a standby of the peer.
func (m *Mover) stepDownFor(ctx context.Context, peer config.Node) error {
	answer, err := m.Peers.Ask(ctx, peer)
	if err != nil {
		return m.silent(peer, err)
	}
	if err := cmp.Or(m.disputed(answer), wouldServe(answer)); err != nil {
		return err
	}
	if err := m.Exclude(ctx, state.IneligibleConflict, "stepping down for "+peer.Name); err != nil {
		return err
	}
	if err := m.stepDown(ctx, peer); err != nil {
		return err
	}
	if err := m.Remote(ctx, peer, m.Config.Failover.PeerTimeout+m.Config.Failover.PeerStop, "resolve", "--stay"); err != nil {
		return err
	}
	if err := m.awaitActive(ctx, peer); err != nil {
		return err
	}
	if m.Data.Configured() {
		if err := m.Rejoin(ctx, peer.Name); err != nil {
			return fmt.Errorf("resolve: %s is active; preserve this node's unreplicated changes: %w", peer.Name, err)
		}
	}
	err = m.ChangeEligibility(ctx, func(last []state.Ineligible) []state.Ineligible {
		return rules.Without(last, state.IneligibleConflict)
	})
	return errors.Join(err, m.Weigh(ctx, m.AskAll(ctx)))
}

// disputed refuses to resolve when this node is active and no conflict is known: it
// would set aside its changes, and lose time, for nothing.
func (m *Mover) disputed(peer rules.PeerState) error {
	current, _, err := m.Role()
	if err != nil || current != state.RoleActive {
		return err
	}
	eligibility, _, err := m.State.Eligibility()
	if err != nil {
		return err
	}
	if peer.Writers || rules.Has(peer.Reasons, state.IneligibleConflict) || rules.Has(eligibility.Reasons, state.IneligibleConflict) {
		return nil
	}
	for _, sent := range m.Replication().Sent {
		if sent.Node == peer.Node && len(sent.Conflicts) > 0 {
			return nil
		}
	}
	return &UnresolvedError{fmt.Sprintf("%s is active, %s is %s, and no conflict is known", m.Self.Name, peer.Node, peer.Role),
		"to hand over without loss: failover-notify switchover; if both nodes wrote, zfs-replicate run finds the conflict"}
}

// wouldServe refuses to step down for a node that would not become active.
func wouldServe(peer rules.PeerState) error {
	left := rules.Without(slices.Clone(peer.Reasons), rules.Lifted()...)
	if peer.Role == state.RoleActive || len(left) == 0 {
		return nil
	}
	return &UnresolvedError{fmt.Sprintf("%s would not become active: %s", peer.Node, rules.Words(left)),
		"nothing was changed; on " + peer.Node + ": failover-notify status, then failover-notify release"}
}

// stepDown stops the services and releases the data, if this node is active.
func (m *Mover) stepDown(ctx context.Context, peer config.Node) error {
	current, _, err := m.Role()
	if err != nil || current == state.RoleStandby {
		return err
	}
	if err := m.Submit(ctx, state.RequestBackup, state.SourceOperator, "stepping down for "+peer.Name); err != nil {
		return err
	}
	if err := m.Reconcile(ctx); err != nil {
		return fmt.Errorf("resolve: step down for %s: %w", peer.Name, err)
	}
	_, role, err := m.Role()
	if err != nil {
		return err
	}
	if rules.Writes(role, m.Boot) {
		return &UnresolvedError{fmt.Sprintf("this node is still %s: %s", role.Role, role.Reason), "see failover-notify status, then run it again"}
	}
	return nil
}

// Stay lifts the reasons against the node that a resolve keeps, and takes a newer
// term.
func (m *Mover) Stay(ctx context.Context) error {
	answers := m.AskAll(ctx)
	peers, _ := failover.Answered(answers)
	if other := rules.Newest(peers, func(p rules.PeerState) bool { return p.Writers }); other != nil {
		return &UnresolvedError{other.Node + " has not stepped down", "run failover-notify resolve --keep " + m.Self.Name + " there"}
	}
	lock, err := m.LockRole(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	current, role, err := m.Role()
	if err != nil {
		return err
	}
	role = rules.HearTerms(role, peers)
	if current == state.RoleActive && rules.UsedUp(role, peers) {
		role = rules.TakeNewerTerm(role)
		m.Log.Info().Uint64("term", role.Term).Msg("this node stays active, under a newer term")
	}
	if err := m.State.SetRole(role); err != nil {
		return err
	}
	return m.ChangeEligibility(ctx, func(last []state.Ineligible) []state.Ineligible {
		return rules.Without(last, rules.Lifted()...)
	})
}
