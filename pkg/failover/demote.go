package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// stopMargin is what stopping everything may take beyond the time that the
	// containers are given.
	stopMargin = 20 * time.Second
	// hurriedStop is what they are given on a node that is cut off: another one
	// takes over after witness.delay.
	hurriedStop = config.HurriedStop
)

// LeftoverError is a demotion after which something may still be written.
type LeftoverError struct{ Left []string }

func (e *LeftoverError) Error() string {
	return "not everything could be given up: " + strings.Join(e.Left, "; ")
}

// Hint says what to do next.
func (e *LeftoverError) Hint() string {
	return "end what is named, then run: failover-notify reconcile; until then no other node takes over by itself"
}

// demote makes this node a standby, or one in fault: no project runs, no dataset
// can be written to.
func (n *Node) demote(ctx context.Context, role state.RoleFile, request state.Request, to state.Role) error {
	clean := role.Boot == n.Boot && (role.Role == state.RoleStandby || role.Role == state.RoleFault) && !unfinished(role)
	via := state.RoleDemoting
	if clean {
		via = to
	}
	t, err := n.begin(role, via, to, request)
	if err != nil {
		return err
	}
	var left []string
	if clean {
		left = n.verifyStopped(ctx, t)
	} else {
		enough := n.sayStopping(ctx, t.current().Term)
		left = n.giveAway(ctx, t)
		enough()
		if len(left) == 0 && ctx.Err() == nil && cameToNothing(role, n.Boot) {
			n.unmark(ctx, t, role.Transition.Started)
		}
	}
	if ctx.Err() != nil {
		return interrupted(ctx, t)
	}
	if len(left) > 0 {
		err := &LeftoverError{left}
		return errors.Join(err, t.end(state.RoleFault, state.OutcomeFailed, err))
	}
	if err := t.end(to, state.OutcomeDone, nil); err != nil {
		return err
	}
	n.giveLeaseBack()
	if role.Role != to || role.Boot != n.Boot {
		if to == state.RoleFault {
			n.tell(ctx, n.Config.Hooks.OnFault)
		} else {
			n.tell(ctx, n.Config.Hooks.OnStandby)
		}
	}
	return nil
}

// cameToNothing says whether a node that is to be demoted had not become active
// yet.
func cameToNothing(role state.RoleFile, boot string) bool {
	t := role.Transition
	return role.Boot == boot && t != nil && t.To == state.RoleActive && (t.From == state.RoleStandby || t.From == state.RoleFault) &&
		(role.Role == state.RolePromoting || role.Role == state.RoleDemoting)
}

// failedToBecomeActive says whether a promotion was refused, or has failed, last.
func failedToBecomeActive(role state.RoleFile) bool {
	t := role.Transition
	return t != nil && t.To == state.RoleActive && t.Outcome == state.OutcomeFailed
}

// unmark leaves no history behind of a promotion that came to nothing. That it
// fails leaves a history to be kept, which is no harm.
func (n *Node) unmark(ctx context.Context, t *transition, began time.Time) {
	if !n.Data.Configured() {
		return
	}
	result, err := n.Data.Unmark(ctx, t.step, began)
	for _, w := range result.Warnings {
		n.Log.Warn().Msg(w)
	}
	if err != nil && ctx.Err() == nil {
		n.Log.Warn().Err(err).Msg("what a promotion that came to nothing has marked stays")
	}
}

// giveAway stops the services and gives the data up, and names what is left.
// The data is given up also when a service is left: it can't write then.
func (n *Node) giveAway(ctx context.Context, t *transition) (left []string) {
	if n.hasServices() {
		fenced := n.fenceInTime(ctx, t)
		err := n.stopAll(ctx, t)
		fenced()
		if err != nil {
			left = append(left, err.Error())
		}
	}
	if !n.Data.Configured() || ctx.Err() != nil {
		return left
	}
	result, err := n.Data.Demote(ctx, t.step)
	for _, w := range result.Warnings {
		n.Log.Warn().Msg(w)
	}
	if err != nil {
		left = append(left, err.Error())
	}
	for _, f := range result.Failed {
		left = append(left, fmt.Sprintf("dataset %s: %v", f.Dataset, f.Err))
	}
	return left
}

// verifyStopped looks whether really nothing runs on a node that was demoted
// before, and stops what does.
func (n *Node) verifyStopped(ctx context.Context, t *transition) []string {
	if !n.hasServices() {
		return nil
	}
	running := 0
	err := t.step(ctx, "verify", "", findTimeout, func(ctx context.Context) error {
		found, err := n.Services.Running(ctx, n.find(ctx))
		running = len(found)
		return err
	})
	// An engine that does not answer was stopped together with what it ran, or
	// that was killed: the demotion has seen to it.
	if err != nil || running == 0 {
		return nil
	}
	if err := n.stopAll(ctx, t); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// stopAll stops all projects.
func (n *Node) stopAll(ctx context.Context, t *transition) error {
	grace := n.Config.Services.StopTimeout
	if len(n.Config.Witness.Targets) > 0 && !n.Witness(ctx).Reachable {
		grace = min(grace, hurriedStop)
	}
	// Of what a lease leaves, too: nothing may run when it is another node's.
	grace = max(min(grace, n.leaseLeft()-config.StopReserve), min(grace, hurriedStop))
	n.recallContainers()
	return t.step(ctx, "stop", "", grace+stopMargin, func(ctx context.Context) error {
		return n.Services.Stop(ctx, n.find(ctx), grace)
	})
}

// find returns the projects as far as they can be loaded: containers are found
// by their labels as well.
func (n *Node) find(ctx context.Context) []compose.Project {
	projects, err := n.Services.Find(ctx)
	if err != nil {
		n.Log.Warn().Err(err).Msg("the projects can't be loaded; containers are found by their labels")
	}
	return projects
}

// containersName is the state name of the ids of the containers that run, by
// which they can be killed while the engine does not answer.
const containersName = "containers"

func (n *Node) rememberContainers() {
	if !n.hasServices() {
		return
	}
	if err := n.State.Write(containersName, n.Services.Known()); err != nil {
		n.Log.Warn().Err(err).Msg("the containers that run are not recorded")
	}
}

func (n *Node) recallContainers() {
	var ids []string
	if found, err := n.State.Read(containersName, &ids); err == nil && found && len(n.Services.Known()) == 0 {
		n.Services.SetKnown(ids)
	}
}
