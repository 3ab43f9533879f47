package failover

import (
	"context"
	"strconv"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
)

// runHook runs a hook of the owner. Its failure is logged and stops nothing.
func (n *Node) runHook(ctx context.Context, hook config.Hook) {
	if len(hook.Command) == 0 {
		return
	}
	role, err := n.State.Role()
	if err != nil {
		n.Log.Warn().Err(err).Msg("hook not run")
		return
	}
	err = n.Runner.Run(ctx, run.Command{Argv: hook.Command, Timeout: hook.Timeout, Env: []string{
		"UNDERSTUDY_NODE=" + n.Self.Name,
		"UNDERSTUDY_ROLE=" + role.Role.String(),
		"UNDERSTUDY_TERM=" + strconv.FormatUint(role.Term, 10),
		"UNDERSTUDY_REASON=" + role.Reason,
	}})
	if err != nil {
		n.Log.Warn().Err(err).Strs("hook", hook.Command).Msg("hook failed")
	}
}
