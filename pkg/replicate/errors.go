package replicate

import (
	"fmt"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
)

// mayRun refuses to replicate from a node that is not the active one.
func mayRun(role state.RoleFile, self string) error {
	if role.HandsOver() {
		role.Role = state.RoleActive
	}
	switch role.Role {
	case state.RoleActive:
		if role.NewestTerm > role.Term {
			return &plan.Refusal{
				What:   fmt.Sprintf("%s is active under term %d, but term %d has been seen: another node was promoted later", self, role.Term, role.NewestTerm),
				Advice: "two nodes may have written: compare them before anything is sent",
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

// mayReceive refuses to receive on a node that is, or is about to be, the
// active one, or whose history is newer than the sender's.
func mayReceive(role state.RoleFile, self string, sender request) error {
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
			What:   fmt.Sprintf("%s has seen term %d, %s is at term %d: the sender's history is the older one", self, role.NewestTerm, sender.Node, sender.Term),
			Advice: "a node with a newer term was active: replicate from that one",
		}
	}
	return nil
}

// writtenTo is a target that ZFS refuses to receive into, since it was written to.
type writtenTo struct {
	node string
	err  error
}

func (e *writtenTo) Error() string { return e.err.Error() }
func (e *writtenTo) Unwrap() error { return e.err }

// Hint says what to do next.
func (e *writtenTo) Hint() string {
	return fmt.Sprintf("run 'zfs-replicate rejoin' on %s: it keeps what was written there", e.node)
}
