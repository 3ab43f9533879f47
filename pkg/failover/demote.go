package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// StopMargin is how long stopping everything may take beyond the time that
	// containers get.
	StopMargin = 20 * time.Second
	// hurriedStop is the time that containers get on an isolated node: another node
	// takes over after witness.delay.
	hurriedStop = config.HurriedStop
)

// LeftoverError is a demotion after which something may still be written.
type LeftoverError struct{ Left []string }

func (e *LeftoverError) Error() string {
	return "the demotion left something behind: " + strings.Join(e.Left, "; ")
}

// Hint returns the next step.
func (e *LeftoverError) Hint() string {
	return "stop the leftovers, then run: failover-notify reconcile; until then no other node takes over automatically"
}

// demote makes this node a standby, or one in fault: no project runs, no dataset
// can be written to. A node that was demoted before is verified.
func (n *Node) demote(ctx context.Context, role state.RoleFile, way rules.Transition, request state.Request) error {
	t, err := n.begin(role, way, request)
	if err != nil {
		return err
	}
	var left []string
	if way.Work == rules.Verify {
		left = n.verifyStopped(ctx, t)
	} else {
		enough := n.Lease.SignStopping(ctx, t.current().Term)
		left = n.stopAndRelease(ctx, t)
		enough()
		if len(left) == 0 && ctx.Err() == nil && rules.PromotionAborted(role, n.Boot) {
			n.unmark(ctx, t, role.Transition.Started)
		}
	}
	if ctx.Err() != nil {
		return t.interrupted(ctx)
	}
	if len(left) > 0 {
		err := &LeftoverError{left}
		return errors.Join(err, t.end(rules.Failed, err))
	}
	if err := t.end(rules.Done, nil); err != nil {
		return err
	}
	n.Lease.Release()
	if role.In(n.Boot) != way.To {
		if way.To == state.RoleFault {
			n.runHook(ctx, n.Config.Hooks.OnFault)
		} else {
			n.runHook(ctx, n.Config.Hooks.OnStandby)
		}
	}
	return nil
}

// unmark removes the marks of an aborted promotion. If it fails, they are a history to
// preserve, which does no harm.
func (n *Node) unmark(ctx context.Context, t *transition, began time.Time) {
	if !n.Data.Configured() {
		return
	}
	result, err := n.Data.DropPromotionSnapshots(ctx, t.step, began)
	for _, w := range result.Warnings {
		n.Log.Warn().Msg(w)
	}
	if err != nil && ctx.Err() == nil {
		n.Log.Warn().Err(err).Msg("marks of the aborted promotion are not removed")
	}
}

// stopAndRelease stops the services, releases the data, and names leftovers. It
// releases the data also when a service is left, which can then no longer write.
func (n *Node) stopAndRelease(ctx context.Context, t *transition) (left []string) {
	if n.HasServices() {
		stopFencing := n.fenceInTime(ctx, t)
		err := n.stopAll(ctx, t)
		stopFencing()
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

// fenceInTime makes the datasets read-only right before the lease ends, if the
// services have not stopped by then.
func (n *Node) fenceInTime(ctx context.Context, t *transition) (stop func()) {
	if !n.Data.Configured() {
		return func() {}
	}
	return n.Lease.FenceInTime(ctx, t.step, func(ctx context.Context) error {
		_, err := n.Data.Fence(ctx)
		return err
	})
}

// verifyStopped verifies that nothing runs on a node that was demoted before, and
// stops stray containers.
func (n *Node) verifyStopped(ctx context.Context, t *transition) []string {
	if !n.HasServices() {
		return nil
	}
	running := 0
	err := t.step(ctx, "verify", "", findTimeout, func(ctx context.Context) error {
		found, err := n.Services.Running(ctx, n.find(ctx))
		running = len(found)
		return err
	})
	// An engine that does not answer was stopped together with its containers, or they
	// were killed: the demotion has ensured it.
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
	// Within the time left of the lease too: nothing may run once another node holds
	// it.
	grace = max(min(grace, n.Lease.Left()-config.StopReserve), min(grace, hurriedStop))
	n.recallContainers()
	return t.step(ctx, "stop", "", grace+StopMargin, func(ctx context.Context) error {
		return n.Services.Stop(ctx, n.find(ctx), grace)
	})
}

// find returns the projects that can be loaded. Containers are also found by their
// labels.
func (n *Node) find(ctx context.Context) []compose.Project {
	projects, err := n.Services.Find(ctx)
	if err != nil {
		n.Log.Warn().Err(err).Msg("projects can't be loaded; finding containers by their labels")
	}
	return projects
}

// containersName is the state name of the ids of running containers. By them they can
// be killed while the engine does not answer.
const containersName = "containers"

func (n *Node) rememberContainers() {
	if !n.HasServices() {
		return
	}
	if err := n.State.Write(containersName, n.Services.Known()); err != nil {
		n.Log.Warn().Err(err).Msg("running containers are not recorded")
	}
}

func (n *Node) recallContainers() {
	var ids []string
	if found, err := n.State.Read(containersName, &ids); err == nil && found && len(n.Services.Known()) == 0 {
		n.Services.SetKnown(ids)
	}
}
