package failover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// eligibilityLock keeps those who change the eligibility apart.
const eligibilityLock = "eligibility"

// lasting are the reasons that only a person ends.
var lasting = []string{state.IneligibleHold, state.IneligiblePromotion, state.IneligibleConflict}

// changeEligibility lets change work on the reasons against this node, and
// shows keepalived what comes of it.
func (n *Node) changeEligibility(ctx context.Context, change func([]state.Ineligible) []state.Ineligible) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	lock, err := n.State.WaitLock(ctx, eligibilityLock)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	last, _, err := n.State.Eligibility()
	if err != nil {
		return err
	}
	reasons := change(slices.Clone(last.Reasons))
	if n.joinedAt().IsZero() {
		reasons = with(reasons, state.Ineligible{Kind: state.IneligibleBoot, Text: "this node has not joined its pair in this boot", Since: n.Now()})
	}
	eligible := len(reasons) == 0
	if eligible == last.Eligible && eligible == state.Shown(n.Config.RunDir) && slices.EqualFunc(reasons, last.Reasons, sameReason) {
		return nil
	}
	if !slices.EqualFunc(reasons, last.Reasons, sameReason) {
		n.Log.Info().Bool("eligible", eligible).Msg(sayEligible(reasons))
	}
	return n.State.SetEligibility(n.Config.RunDir, state.Eligibility{Eligible: eligible, Reasons: reasons, Time: n.Now()})
}

func sameReason(a, b state.Ineligible) bool { return a.Kind == b.Kind && a.Text == b.Text }

func sayEligible(reasons []state.Ineligible) string {
	if len(reasons) == 0 {
		return "this node may hold the floating address"
	}
	return "this node may not hold the floating address: " + reasons[0].Text
}

// exclude adds a reason, or renews its text.
func (n *Node) exclude(ctx context.Context, kind, text string) error {
	return n.changeEligibility(ctx, func(reasons []state.Ineligible) []state.Ineligible {
		return with(reasons, state.Ineligible{Kind: kind, Text: text, Since: n.Now()})
	})
}

// with is reasons with r in the place of one of its kind, whose time it keeps.
func with(reasons []state.Ineligible, r state.Ineligible) []state.Ineligible {
	for i, old := range reasons {
		if old.Kind == r.Kind {
			r.Since = old.Since
			reasons[i] = r
			return reasons
		}
	}
	return append(reasons, r)
}

func without(reasons []state.Ineligible, kinds ...string) []state.Ineligible {
	return slices.DeleteFunc(reasons, func(r state.Ineligible) bool { return slices.Contains(kinds, r.Kind) })
}

// situation is what decides whether a node that is not active may become it.
type situation struct {
	Now  time.Time
	Self state.RoleFile
	Data bool // there are replicated datasets
	// Received is the newest term under which data has come here; zero when
	// none has.
	Received uint64
	// Peers are the other nodes that have answered, Silent the names of those
	// that have not.
	Peers  []PeerState
	Silent []string
	// Highest says that no other node has a higher priority.
	Highest bool
	Joined  time.Time // when this node joined in this boot
	Wait    time.Duration
	// Handover is how long the address is left to another node in a switchover.
	Handover time.Duration
	// CutOff says that no witness answers, or no etcd, where some are configured.
	CutOff bool
}

// passing returns the reasons that go by themselves: this node waits for the
// one that was active last, has no replica of what that one wrote, or was
// refused a promotion for something that may pass.
func passing(s situation, last []state.Ineligible) []state.Ineligible {
	var reasons []state.Ineligible
	add := func(kind, format string, args ...any) {
		reasons = append(reasons, state.Ineligible{Kind: kind, Text: fmt.Sprintf(format, args...), Since: s.Now})
	}
	if has(last, state.IneligibleRefused) {
		switch peer := writing(s.Peers); {
		case s.CutOff:
			add(state.IneligibleRefused, "no witness answers, or etcd does not: this node is cut off")
		case peer != nil:
			add(state.IneligibleRefused, "%s has not stopped its services or given up its data yet", peer.Node)
		default:
			// It would be refused again and again while the two don't see each other.
			if peer := newest(s.Peers, func(p PeerState) bool { return p.ByLease }); peer != nil {
				add(state.IneligibleRefused, "%s has the lease, though it does not answer", peer.Node)
			}
		}
	}
	active := newest(s.Peers, func(p PeerState) bool { return p.Role == state.RoleActive })
	for _, r := range last {
		// Where the one that comes first does not come, this lets go by itself.
		patience := map[string]time.Duration{state.IneligibleHandover: s.Handover, state.IneligibleYield: yieldFor}[r.Kind]
		// A clock that was set back must not prolong it.
		if active == nil && s.Now.Sub(r.Since).Abs() < patience {
			reasons = append(reasons, r)
		}
	}
	// Once known to be old, a replica stays so until something newer has come:
	// the node that has the newer data may be down now.
	behind := active != nil && active.ActiveTerm > s.Self.ActiveTerm || active == nil && has(last, state.IneligibleReplica)
	switch {
	case s.Data && active != nil && active.ActiveTerm < s.Self.ActiveTerm:
		// It takes a newer term as soon as it has heard of ours.
		add(state.IneligibleReplica, "%s goes on under term %d while this one has been active under term %d: both may have written", active.Node, active.ActiveTerm, s.Self.ActiveTerm)
	case s.Data && behind && s.Received <= s.Self.ActiveTerm:
		add(state.IneligibleReplica, "another node has been active since this one was, and nothing has been received since")
	case active == nil && (has(last, state.IneligibleBoot) || has(last, state.IneligibleWaiting)) && !s.first() && s.Now.Sub(s.Joined) < s.Wait:
		// Only from the boot on: one that has seen an active node may follow it.
		add(state.IneligibleWaiting, "another node was active last, or comes first: it is waited for until %s", s.Joined.Add(s.Wait).Format("15:04:05"))
	}
	return reasons
}

// first says whether this node comes first while no node is active: it was
// active last, as far as anybody who answers knows, or nobody ever was and it
// has the highest priority.
func (s situation) first() bool {
	newest := uint64(0)
	if len(s.Silent) > 0 {
		// A term that this node has heard of may be that of a silent one.
		newest = s.Self.NewestTerm
	}
	for _, p := range s.Peers {
		newest = max(newest, p.ActiveTerm)
	}
	if newest == 0 && s.Self.ActiveTerm == 0 {
		return s.Highest
	}
	return s.Self.ActiveTerm >= newest
}

func has(reasons []state.Ineligible, kind string) bool {
	return slices.ContainsFunc(reasons, func(r state.Ineligible) bool { return r.Kind == kind })
}

// writing is a peer that is not active by right, but may still write.
func writing(peers []PeerState) *PeerState {
	return newest(peers, func(p PeerState) bool { return p.Writers && p.Role != state.RoleActive })
}

// newest is the peer with the newest active term of those that fit.
func newest(peers []PeerState, fits func(PeerState) bool) *PeerState {
	var found *PeerState
	for i := range peers {
		if fits(peers[i]) && (found == nil || peers[i].ActiveTerm > found.ActiveTerm) {
			found = &peers[i]
		}
	}
	return found
}
