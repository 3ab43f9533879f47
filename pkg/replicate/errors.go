package replicate

import (
	"fmt"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
)

// mayRun refuses to replicate from a node that is not active.
func mayRun(role state.RoleFile, self string) error {
	if role.HandsOver() {
		role.Role = state.RoleActive
	}
	switch role.Role {
	case state.RoleActive:
		if role.NewestTerm > role.Term {
			return &plan.Refusal{
				What:   fmt.Sprintf("%s is active under term %d, but term %d has been seen: another node was promoted later", self, role.Term, role.NewestTerm),
				Advice: "this may be a split brain: compare the nodes before you replicate",
			}
		}
		return nil
	case state.RoleUnknown:
		return &plan.Refusal{
			What:   fmt.Sprintf("%s has no role yet, and replication.require_role is true", self),
			Advice: "the role is set when keepalived starts; without keepalived set replication.require_role: false on both nodes",
		}
	}
	return &plan.Refusal{
		What:     fmt.Sprintf("%s is %s, not active: only the active node replicates", self, role.Role),
		Advice:   "run it on the active node; on a standby there is nothing to do",
		Expected: role.Role == state.RoleStandby || role.Role == state.RolePromoting || role.Role == state.RoleDemoting,
	}
}
