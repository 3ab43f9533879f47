package failover

import (
	"context"
	"fmt"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// HoldRefusedError is a hold that would move the services.
type HoldRefusedError struct{ Role state.Role }

func (e *HoldRefusedError) Error() string {
	return fmt.Sprintf("hold: this node is %s: holding it moves the services to another node", e.Role)
}

// ExitCode is 76, EX_PROTOCOL of sysexits.h: a refusal.
func (e *HoldRefusedError) ExitCode() int { return exit.Refused }

// Hint returns the next step.
func (e *HoldRefusedError) Hint() string {
	return "to do it anyway: failover-notify hold --force"
}

// Hold makes this node ineligible until Release. It is refused on an active node
// unless force is set.
func (n *Node) Hold(ctx context.Context, reason string, force bool) error {
	_, role, err := n.Role()
	if err != nil {
		return err
	}
	if role.Serving(n.Boot) && !force {
		return &HoldRefusedError{role.Role}
	}
	return n.Exclude(ctx, state.IneligibleHold, "held: "+reason)
}

// Released holds the reasons that a release has lifted, and those that still stand.
type Released struct {
	Lifted []state.Ineligible `json:"lifted,omitempty"`
	Left   []state.Ineligible `json:"left,omitempty"`
}

// Release lifts the reasons that an operator may lift: a hold, a failed promotion, a
// resolved conflict, a replica out of date, and a wait. A node that has not joined in
// this boot stays ineligible.
func (n *Node) Release(ctx context.Context) (Released, error) {
	answers := n.AskAll(ctx)
	peers, _ := Answered(answers)
	role, err := n.State.Role()
	if err != nil {
		return Released{}, err
	}
	var result Released
	err = n.ChangeEligibility(ctx, func(last []state.Ineligible) []state.Ineligible {
		result = Released{}
		for _, r := range last {
			if rules.Stands(r, role, peers) {
				result.Left = append(result.Left, r)
			} else {
				result.Lifted = append(result.Lifted, r)
			}
		}
		return result.Left
	})
	return result, err
}
