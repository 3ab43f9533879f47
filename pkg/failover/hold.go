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

// Hint says what to do next.
func (e *HoldRefusedError) Hint() string {
	return "to do it anyway: failover-notify hold --force"
}

// Hold keeps this node from holding the address until Release. On a node that
// is active it is refused unless force is set.
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

// Released is what a release has lifted, and what still stands.
type Released struct {
	Lifted []state.Ineligible `json:"lifted,omitempty"`
	Left   []state.Ineligible `json:"left,omitempty"`
}

// Release lifts what a person may lift: a hold, a promotion that failed, a
// conflict that is over, an old replica and a wait. That this node has not joined
// in this boot stands.
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
