package self

import (
	"context"
	"slices"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// EligibilityLock keeps those who change the eligibility apart.
const EligibilityLock = "eligibility"

// ChangeEligibility has change work on the reasons against this node, and shows
// keepalived the result.
func (r *Records) ChangeEligibility(ctx context.Context, change func([]state.Ineligible) []state.Ineligible) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	lock, err := r.State.WaitLock(ctx, EligibilityLock)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	last, _, err := r.State.Eligibility()
	if err != nil {
		return err
	}
	reasons := change(slices.Clone(last.Reasons))
	if r.JoinedAt().IsZero() {
		reasons = rules.With(reasons, state.Ineligible{Kind: state.IneligibleBoot, Text: "this node has not joined its pair in this boot", Since: r.Now()})
	}
	eligible := len(reasons) == 0
	same := rules.SameReasons(reasons, last.Reasons)
	if eligible == last.Eligible && eligible == r.ShownEligible() && same {
		return nil
	}
	if !same {
		r.Log.Info().Bool("eligible", eligible).Msg(sayEligible(reasons))
	}
	return r.State.SetEligibility(r.RunDir, state.Eligibility{Eligible: eligible, Reasons: reasons, Time: r.Now()})
}

func sayEligible(reasons []state.Ineligible) string {
	if len(reasons) == 0 {
		return "this node is eligible"
	}
	return "this node is not eligible: " + reasons[0].Text
}

// Exclude adds a reason against this node, or renews its text.
func (r *Records) Exclude(ctx context.Context, kind, text string) error {
	return r.ChangeEligibility(ctx, func(reasons []state.Ineligible) []state.Ineligible {
		return rules.With(reasons, state.Ineligible{Kind: kind, Text: text, Since: r.Now()})
	})
}

// ShownEligible reports whether keepalived is shown that this node may hold the
// virtual IP.
func (r *Records) ShownEligible() bool { return r.RunDir.ShowsEligible() }
