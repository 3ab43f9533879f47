package self

import (
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Describe returns what this node says of itself.
func (r *Records) Describe() (rules.PeerState, error) {
	p := rules.PeerState{Node: r.Self.Name, Boot: r.Boot, Time: r.Now()}
	current, role, err := r.Role()
	if err != nil {
		return p, err
	}
	p.Role, p.Term, p.ActiveTerm = current, role.Term, role.ActiveTerm
	p.NewestTerm = max(role.NewestTerm, r.ReceivedTerm())
	if role.Boot == r.Boot {
		p.Since, p.Reason, p.Transition = role.Since, role.Reason, role.Transition
	}
	p.Writers = rules.Writes(role, r.Boot)
	if request, found, err := r.Request(); err == nil && found {
		p.Requested, p.RequestSeq = request.Requested, request.Seq
	}
	// An address that can't be looked for is not held, as far as others know.
	p.HoldsAddress, _ = r.Address.Here()
	if eligibility, _, err := r.State.Eligibility(); err == nil {
		p.Reasons = eligibility.Reasons
	}
	p.Eligible = r.ShownEligible()
	kept, err := r.Address.KeepalivedRuns()
	p.Contends = r.Address.Configured() && err == nil && kept && p.Requested != state.RequestStop && p.Requested != state.RequestFault
	p.Replica = r.Replica()
	p.SetAlerts(r.Alerts())
	return p, nil
}
