package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// YieldFor is how long a node leaves the virtual IP to another one, which has
// newer data or to which it is being handed over. By then that node is active, or
// something keeps it from it.
const YieldFor = 20 * time.Second

// Lasting reports whether only the operator ends a reason of this kind.
func Lasting(r state.Ineligible) bool {
	switch r.Kind {
	case state.IneligibleHold, state.IneligiblePromotion, state.IneligibleConflict:
		return true
	}
	return false
}

// Situation is what decides whether a node that is not active may become it.
type Situation struct {
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
	// Highest: no other node has a higher priority.
	Highest bool
	Joined  time.Time // when this node joined in this boot
	Wait    time.Duration
	// Handover is how long the virtual IP is left to another node in a switchover.
	Handover time.Duration
	// Isolated: no witness answers, or no etcd, where some are configured.
	Isolated bool
}

// passing returns the reasons that end by themselves. This node waits for the node
// that was active last, or lacks its data, or was refused a promotion for a cause that
// may pass.
func passing(s Situation, last []state.Ineligible) []state.Ineligible {
	reasons := s.stillRefused(last)
	serving := NewestActive(s.Peers)
	for _, r := range last {
		// Where the node that comes first does not come, this ends by itself.
		patience := map[string]time.Duration{state.IneligibleHandover: s.Handover, state.IneligibleYield: YieldFor}[r.Kind]
		// A clock that was set back must not prolong it.
		if serving == nil && s.Now.Sub(r.Since).Abs() < patience {
			reasons = append(reasons, r)
		}
	}
	// Once known to be out of date, a replica stays so until something newer has
	// come: the node that has the newer data may be down now.
	behind := serving != nil && serving.ActiveTerm > s.Self.ActiveTerm || serving == nil && Has(last, state.IneligibleReplica)
	booting := Has(last, state.IneligibleBoot) || Has(last, state.IneligibleWaiting)
	switch {
	case s.Data && serving != nil && serving.ActiveTerm < s.Self.ActiveTerm:
		// It takes a newer term as soon as it has heard of the term here.
		return append(reasons, s.reason(state.IneligibleReplica, "%s is active under term %d, though this node was active under term %d: both may have written",
			serving.Node, serving.ActiveTerm, s.Self.ActiveTerm))
	case s.Data && behind && s.Received <= s.Self.ActiveTerm:
		return append(reasons, s.reason(state.IneligibleReplica, "its replica is out of date: another node has been active since, and nothing has been received"))
	case serving == nil && booting && !s.first() && s.Now.Sub(s.Joined) < s.Wait:
		// Only from the boot on: one that has seen an active node may follow it.
		return append(reasons, s.reason(state.IneligibleWaiting, "it waits until %s for the node that was active last, or comes first",
			s.Joined.Add(s.Wait).Format("15:04:05")))
	}
	return reasons
}

func (s Situation) reason(kind, format string, args ...any) state.Ineligible {
	return state.Ineligible{Kind: kind, Text: fmt.Sprintf(format, args...), Since: s.Now}
}

// stillRefused returns the cause for which a promotion that was refused would be
// refused again.
func (s Situation) stillRefused(last []state.Ineligible) []state.Ineligible {
	if !Has(last, state.IneligibleRefused) {
		return nil
	}
	if s.Isolated {
		return []state.Ineligible{s.reason(state.IneligibleRefused, "it is isolated: no witness answers, or etcd does not")}
	}
	// Not active by right, but may still write.
	if peer := Newest(s.Peers, func(p PeerState) bool { return p.Writers && !p.IsActive() }); peer != nil {
		return []state.Ineligible{s.reason(state.IneligibleRefused, "%s has not yet stopped its services and released its data", peer.Node)}
	}
	// It would be refused again and again while the two don't see each other.
	if peer := Newest(s.Peers, func(p PeerState) bool { return p.ByLease }); peer != nil {
		return []state.Ineligible{s.reason(state.IneligibleRefused, "%s holds the lease, but does not answer", peer.Node)}
	}
	return nil
}

// first reports whether this node comes first while no node is active. It does if it
// was active last, as far as the answering nodes know. If no node ever was, the
// highest priority decides.
func (s Situation) first() bool {
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

// Weigh returns the reasons against a node in a situation, given the last ones.
// serves: it is active or becoming so and is not about to stop, so nothing that
// passes counts. Those that only the operator ends stay.
func Weigh(s Situation, last []state.Ineligible, serves bool) []state.Ineligible {
	var reasons []state.Ineligible
	if !serves {
		for _, r := range passing(s, last) {
			reasons = With(reasons, r)
		}
	}
	for _, r := range last {
		if Lasting(r) {
			reasons = append(reasons, r)
		}
	}
	return reasons
}

// Stands reports whether an operator's release does not lift a reason.
func Stands(r state.Ineligible, self state.RoleFile, peers []PeerState) bool {
	serving := NewestActive(peers)
	switch r.Kind {
	case state.IneligibleBoot:
		return true
	case state.IneligibleConflict:
		return serving != nil && self.Role == active
	case state.IneligibleReplica, state.IneligibleRefused:
		// While another node serves, replication brings an old replica up to date.
		return serving != nil
	}
	return false
}

// Lifted returns the kinds of reasons that a node lifts when a conflict is resolved
// in its favour.
func Lifted() []string {
	return []string{state.IneligibleConflict, state.IneligibleReplica, state.IneligibleRefused, state.IneligibleWaiting}
}

// Has reports whether there is a reason of a kind.
func Has(reasons []state.Ineligible, kind string) bool {
	return slices.ContainsFunc(reasons, func(r state.Ineligible) bool { return r.Kind == kind })
}

// With returns reasons with r in the place of one of its kind, whose time it keeps.
func With(reasons []state.Ineligible, r state.Ineligible) []state.Ineligible {
	for i, old := range reasons {
		if old.Kind == r.Kind {
			r.Since = old.Since
			reasons[i] = r
			return reasons
		}
	}
	return append(reasons, r)
}

// Without returns reasons without those of some kinds.
func Without(reasons []state.Ineligible, kinds ...string) []state.Ineligible {
	return slices.DeleteFunc(reasons, func(r state.Ineligible) bool { return slices.Contains(kinds, r.Kind) })
}

// SameReasons reports whether two lists say the same, whenever they began.
func SameReasons(a, b []state.Ineligible) bool {
	return slices.EqualFunc(a, b, func(a, b state.Ineligible) bool { return a.Kind == b.Kind && a.Text == b.Text })
}

// Words returns reasons as one line.
func Words(reasons []state.Ineligible) string {
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = r.Text
	}
	return strings.Join(texts, "; ")
}
