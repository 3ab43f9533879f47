package session

import (
	"fmt"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
)

// mayReceive refuses on a node that is or becomes active, and on a node whose history
// is newer than the sender's.
func mayReceive(role state.RoleFile, self string, sender Hello) error {
	switch role.Role {
	case state.RoleActive, state.RolePromoting, state.RoleDemoting:
		return &plan.Refusal{
			What:   fmt.Sprintf("%s is %s (term %d): it does not receive from %s (term %d)", self, role.Role, role.Term, sender.Node, sender.Term),
			Advice: "if both are active, stop one of them before anything is replicated",
		}
	case state.RoleUnknown:
		return &plan.Refusal{
			What:   fmt.Sprintf("%s has no role yet, and replication.require_role is true there", self),
			Advice: "the role is set when keepalived starts; without keepalived set replication.require_role: false on both nodes",
		}
	}
	if sender.Role != state.RoleActive {
		return &plan.Refusal{
			What:   fmt.Sprintf("%s says it is %s, not active", sender.Node, sender.Role),
			Advice: "replicate from the active node",
		}
	}
	if role.NewestTerm > sender.Term {
		return &plan.Refusal{
			What:   fmt.Sprintf("%s has seen term %d, %s is at term %d: the sender's history is out of date", self, role.NewestTerm, sender.Node, sender.Term),
			Advice: "replicate from the node that was active under the newer term",
		}
	}
	return nil
}
