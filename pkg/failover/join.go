package failover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/state"
)

// joinedName is the name under which join leaves its mark, in the folder for
// what must not survive a reboot.
const joinedName = "joined"

// joined is that mark.
type joined struct {
	Boot string    `json:"boot"`
	Time time.Time `json:"time"`
	// Uptime is the same by the clock that nobody can set: after a boot the other one
	// often jumps, once it is known what time it is.
	Uptime time.Duration `json:"uptime,omitempty"`
}

// joinedAt is when this node joined in this boot, as its clock has it now; zero when
// it has not.
func (n *Node) joinedAt() time.Time {
	dir, err := state.Open(n.Config.RunDir)
	if err != nil {
		return time.Time{}
	}
	var mark joined
	if found, err := dir.Read(joinedName, &mark); err != nil || !found || mark.Boot != n.Boot {
		return time.Time{}
	}
	if uptime, err := clock.System().SinceBoot(); err == nil && mark.Uptime > 0 {
		return n.Now().Add(mark.Uptime - uptime).Truncate(time.Second)
	}
	return mark.Time
}

// forgetJoined makes the node one that has not joined, which may not hold the
// address.
//
// The folder is made first of all: keepalived drops a track_file whose folder is
// not there when it starts, and with it the condition.
func (n *Node) forgetJoined(ctx context.Context) error {
	if err := os.MkdirAll(n.Config.RunDir, 0o755); err != nil {
		return fmt.Errorf("begin to join: %w", err)
	}
	if err := os.Remove(filepath.Join(n.Config.RunDir, joinedName+".json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("begin to join: %w", err)
	}
	return n.changeEligibility(ctx, func(reasons []state.Ineligible) []state.Ineligible { return reasons })
}

func (n *Node) markJoined() error {
	dir, err := state.Open(n.Config.RunDir)
	if err != nil {
		return err
	}
	uptime, err := clock.System().SinceBoot()
	if err != nil {
		return err
	}
	return dir.Write(joinedName, joined{n.Boot, n.Now(), uptime})
}

// Joined is what joining has come to.
type Joined struct {
	Role state.Role `json:"role"`
	// Already says that this node was active in this boot, and was left alone.
	Already  bool               `json:"already,omitempty"`
	Eligible bool               `json:"eligible"`
	Reasons  []state.Ineligible `json:"reasons,omitempty"`
	Peers    []PeerState        `json:"peers,omitempty"`
	Silent   []string           `json:"silent,omitempty"`
}

// Join is the boot: this node stops what the boot has started, gives its data
// up, asks the others, and may hold the floating address once it knows that it
// comes first or can take over from an active one. Until then it may not. A node
// that is active in this boot is left alone.
func (n *Node) Join(ctx context.Context) (Joined, error) {
	lock, err := n.State.WaitLock(ctx, reconcileLock)
	if err != nil {
		return Joined{}, err
	}
	defer lock.Unlock()
	role, err := n.State.Role()
	if err != nil {
		return Joined{}, err
	}
	if role.Boot == n.Boot && (role.Role == state.RoleActive || role.Role == state.RolePromoting) {
		return Joined{Role: role.Role, Already: true, Eligible: state.Shown(n.Config.RunDir)}, nil
	}
	if err := n.forgetJoined(ctx); err != nil {
		return Joined{}, err
	}
	answers := make(chan []Answer, 1)
	go func() { answers <- n.askAll(ctx) }()

	n.replay(ctx, role)
	demoted := n.demote(ctx, role, state.Request{Requested: state.RequestBackup, Source: state.SourceJoin}, state.RoleStandby)
	if _, left := errors.AsType[*LeftoverError](demoted); demoted != nil && !left {
		return Joined{}, demoted
	}
	got := <-answers
	peers, silent := answered(got)
	if err := n.learn(got); err != nil {
		return Joined{}, err
	}
	if err := n.markJoined(); err != nil {
		return Joined{}, err
	}
	if err := n.weigh(ctx, got); err != nil {
		return Joined{}, err
	}
	eligibility, _, err := n.State.Eligibility()
	if err != nil {
		return Joined{}, err
	}
	if role, err = n.State.Role(); err != nil {
		return Joined{}, err
	}
	return Joined{Role: role.Role, Eligible: eligibility.Eligible, Reasons: eligibility.Reasons, Peers: peers, Silent: silent}, demoted
}

// replay brings what was written last into the datasets, on a node that went down
// without having given them up.
func (n *Node) replay(ctx context.Context, role state.RoleFile) {
	if !n.Data.Configured() || !n.wentDown(role) {
		return
	}
	result, err := n.Data.Replay(ctx)
	for _, w := range result.Warnings {
		n.Log.Warn().Msg(w)
	}
	if err != nil {
		n.Log.Warn().Err(err).Msg("what was written right before the last boot ended is not looked for")
	}
}

// wentDown says whether an earlier boot ended while this node was active, or on
// its way.
func (n *Node) wentDown(role state.RoleFile) bool {
	return role.Boot != n.Boot && role.Role != state.RoleUnknown && role.Role != state.RoleStandby
}

// learn remembers the newest term that others have seen. The caller holds the
// lock of transitions. A node that is active while another one, which is not any
// more, has used a newer term, takes one of its own: what goes on here is the
// pair's history from then on, and must not count as the older. What the other one
// has written is a tail, which replication then finds and leaves alone.
func (n *Node) learn(answers []Answer) error {
	role, err := n.State.Role()
	if err != nil {
		return err
	}
	before := role
	peers, silent := answered(answers)
	for _, p := range peers {
		role.NewestTerm = max(role.NewestTerm, p.NewestTerm, p.Term)
	}
	others := newest(peers, func(p PeerState) bool { return p.Role == state.RoleActive || p.Writers })
	if role.Role == state.RoleActive && role.Boot == n.Boot && usedUp(role, peers) && len(silent) == 0 && others == nil {
		role.Term = max(role.NewestTerm, role.Term) + 1
		role.ActiveTerm, role.NewestTerm = role.Term, role.Term
		n.Log.Info().Uint64("term", role.Term).Msg("another node has used up a term: this one takes a newer one")
	}
	if role.NewestTerm == before.NewestTerm {
		return nil
	}
	return n.State.SetRole(role)
}

// usedUp says whether an active node's term is no longer the newest, or not its
// alone: two that could not hear each other were promoted under the same one. Both
// would count as the one that was active last.
func usedUp(role state.RoleFile, peers []PeerState) bool {
	return role.NewestTerm > role.Term || slices.ContainsFunc(peers, func(p PeerState) bool { return p.ActiveTerm >= role.Term })
}

// weigh decides anew, by what the others say, whether this node may hold the
// address. What only a person ends stays as it is.
func (n *Node) weigh(ctx context.Context, answers []Answer) error {
	role, err := n.State.Role()
	if err != nil {
		return err
	}
	at := n.joinedAt()
	if at.IsZero() {
		return nil
	}
	s := situation{
		Now: n.Now(), Self: role, Data: n.Data.Configured(), Received: n.receivedTerm(),
		Joined: at, Wait: n.Config.Failover.JoinWait, Handover: n.Config.Failover.PeerStop,
		Highest: !slices.ContainsFunc(answers, func(a Answer) bool { return a.Node.Priority > n.Self.Priority }),
	}
	s.Peers, s.Silent = answered(answers)
	if len(n.Config.Witness.Targets) > 0 {
		s.CutOff = !n.Witness(ctx).Reachable
	}
	if n.Lease != nil && !s.CutOff {
		_, _, err := n.Lease.Holder(ctx)
		s.CutOff = err != nil
	}
	if ctx.Err() != nil {
		return ctx.Err() // what was not waited for says nothing
	}
	serving := role.Boot == n.Boot && (role.Role == state.RoleActive || role.Role == state.RolePromoting)
	return n.changeEligibility(ctx, func(last []state.Ineligible) []state.Ineligible {
		var reasons []state.Ineligible
		// One that is about to stop, since it may not go on, has a reason to.
		request, found, err := n.request()
		stops := err == nil && found && request.Requested != state.RequestMaster
		if !serving || stops {
			for _, r := range passing(s, last) {
				reasons = with(reasons, r)
			}
		}
		for _, r := range last {
			if slices.Contains(lasting, r.Kind) {
				reasons = append(reasons, r)
			}
		}
		return reasons
	})
}

// Fence keeps the mounts of a boot from being written to, on a node that was
// active, or on its way, when it went down. It returns what was made read-only.
func (n *Node) Fence(ctx context.Context) (data.Result, error) {
	role, err := n.State.Role()
	if err != nil {
		return data.Result{}, err
	}
	if !n.Data.Configured() || !n.wentDown(role) {
		return data.Result{}, nil
	}
	result, err := n.Data.Fence(ctx)
	if err != nil {
		return result, fmt.Errorf("make the datasets read-only for the boot: %w", err)
	}
	return result, nil
}
