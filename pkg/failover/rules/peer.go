package rules

import (
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/alert"
	"github.com/understudy-ha/understudy/pkg/state"
)

// PeerState is what a node says of itself. It asks neither ZFS nor the engine for
// it, so it answers within milliseconds whatever hangs.
type PeerState struct {
	Node string `json:"node"`
	// Role is its role in this boot; unknown before it has joined.
	Role       state.Role `json:"role"`
	Term       uint64     `json:"term"`
	NewestTerm uint64     `json:"newest_term"`
	ActiveTerm uint64     `json:"active_term,omitempty"`
	Since      time.Time  `json:"since,omitzero"`
	Reason     string     `json:"reason,omitempty"`
	// Requested is the newest request of this boot.
	Requested  state.RequestedRole `json:"wish,omitempty"`
	RequestSeq uint64              `json:"wish_seq,omitempty"`
	// HoldsAddress: the virtual IP is on it.
	HoldsAddress bool               `json:"holds_address"`
	Eligible     bool               `json:"eligible"`
	Reasons      []state.Ineligible `json:"reasons,omitempty"`
	// Contends: it takes the virtual IP once eligible. keepalived runs and has not
	// found it in fault.
	Contends bool `json:"contends"`
	// Replica is how new the data is that it has received.
	Replica *Replica `json:"replica,omitempty"`
	// Writers: its projects may run, or its datasets may be written to.
	Writers bool `json:"writers"`
	// Alerts are texts; AlertDetails are the same alerts with their kinds, which
	// older releases neither send nor read. AlertList returns whichever came.
	Alerts       []string      `json:"alerts,omitempty"`
	AlertDetails []alert.Alert `json:"alert_details,omitempty"`
	Boot         string        `json:"boot"`
	Time         time.Time     `json:"time"`
	// ByLease: it did not answer itself; etcd says that it is active.
	ByLease bool `json:"by_lease,omitempty"`
	// Transition is the last one.
	Transition *state.Transition `json:"transition,omitempty"`
}

// AlertList returns the alerts of a node of any release.
func (p PeerState) AlertList() []alert.Alert {
	if len(p.AlertDetails) == len(p.Alerts) {
		return p.AlertDetails
	}
	return alert.FromTexts(p.Alerts)
}

// SetAlerts sets the alerts for readers of any release.
func (p *PeerState) SetAlerts(alerts []alert.Alert) {
	p.AlertDetails, p.Alerts = alerts, alert.Texts(alerts)
}

// CouldServe reports whether a standby would become active when the virtual IP is
// left to it.
func (p PeerState) CouldServe() bool {
	return p.Role == standby && p.Eligible && p.Contends
}

// HandsTo returns the node to which p has just handed over; "" when there is none.
func (p PeerState) HandsTo() string {
	i := slices.IndexFunc(p.Reasons, func(r state.Ineligible) bool { return r.Kind == state.IneligibleHandover })
	if i < 0 {
		return ""
	}
	return p.Reasons[i].Node
}

// IsActive reports whether p is active.
func (p PeerState) IsActive() bool { return p.Role == active }

// Newest returns the peer with the newest active term of those that fit; nil when
// none does.
func Newest(peers []PeerState, fits func(PeerState) bool) *PeerState {
	var found *PeerState
	for i := range peers {
		if fits(peers[i]) && (found == nil || peers[i].ActiveTerm > found.ActiveTerm) {
			found = &peers[i]
		}
	}
	return found
}

// NewestActive returns the active peer with the newest active term; nil when none
// is active.
func NewestActive(peers []PeerState) *PeerState { return Newest(peers, PeerState.IsActive) }

// EligibleText returns "yes", or "no" with the reasons.
func (p PeerState) EligibleText() string {
	switch {
	case p.Eligible:
		return "yes"
	case len(p.Reasons) == 0:
		return "no"
	}
	return "no: " + Words(p.Reasons)
}
