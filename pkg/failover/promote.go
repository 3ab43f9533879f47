package failover

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// receiverWait is how long a receiving session may take to notice that this node
	// is no longer a standby; it checks four times a second.
	receiverWait = 5 * time.Second
	// networkTimeout bounds making the networks of all projects.
	networkTimeout = 15 * time.Second
	// findTimeout bounds loading all projects.
	findTimeout = 30 * time.Second
)

// FailedError is a promotion that failed.
type FailedError struct {
	Text string
	Err  error
}

func (e *FailedError) Error() string { return e.Text + ": " + e.Err.Error() }

func (e *FailedError) Unwrap() error { return e.Err }

// PartialError is a promotion in which some steps failed.
type PartialError struct{ Failed []string }

func (e *PartialError) Error() string {
	return fmt.Sprintf("active, but %d failed: %s", len(e.Failed), strings.Join(e.Failed, "; "))
}

// ExitCode is 3: partly done.
func (e *PartialError) ExitCode() int { return exit.Partial }

// Hint returns the next step.
func (e *PartialError) Hint() string {
	return "fix the failures above, then run: failover-notify master"
}

// promote makes this node active. It looks over a node that is active already, and
// starts projects that failed before or have stopped since.
func (n *Node) promote(ctx context.Context, role state.RoleFile, way rules.Transition, request state.Request) error {
	t, err := n.begin(role, way, request)
	if err != nil {
		return err
	}
	prepared := n.prepare(ctx)
	if way.Work == rules.Promote {
		if err := n.takeTerm(ctx, t, role, request); err != nil {
			if ctx.Err() != nil {
				return t.interrupted(ctx)
			}
			return n.refuse(t, role, err)
		}
	}
	failed, err := n.takeOver(ctx, t, role, prepared)
	if ctx.Err() != nil {
		return t.interrupted(ctx)
	}
	if err != nil {
		return n.abandon(ctx, t, err)
	}
	var partial error
	if len(failed) > 0 {
		partial = &PartialError{failed}
	}
	if err := t.end(rules.Done, partial); err != nil {
		return err
	}
	n.rememberContainers()
	if way.Work == rules.Promote {
		n.runHook(ctx, n.Config.Hooks.OnActive)
	}
	return partial
}

// takeTerm passes the gate and takes the next term, which is recorded before
// anything is touched.
func (n *Node) takeTerm(ctx context.Context, t *transition, role state.RoleFile, request state.Request) error {
	newest, err := n.gate(ctx, t, request)
	if err != nil {
		return err
	}
	revision, err := n.Lease.Take(ctx, t.step, t.current().Transition.Started)
	if err != nil {
		return err
	}
	err = t.set(func(f *state.RoleFile) {
		// A promotion that was killed continues under the term that it took.
		if role.In(n.Boot) != state.RolePromoting || role.ActiveTerm != role.Term || role.Term < max(newest, revision) {
			f.Term = max(newest+1, revision)
		}
		f.ActiveTerm, f.NewestTerm = f.Term, max(f.Term, newest)
	})
	if err == nil {
		n.Lease.Sign(ctx, t.current().Term)
	}
	return err
}

// takeOver takes the data and starts the services. It names the failures; the error is
// for a node that would serve nothing.
func (n *Node) takeOver(ctx context.Context, t *transition, before state.RoleFile, prepared *preparation) (failed []string, err error) {
	if err := n.awaitReceivers(ctx, t); err != nil {
		return nil, err
	}
	taken, err := n.takeData(ctx, t)
	if err != nil {
		// Nothing was written under this term: the data is no newer than before.
		return nil, errors.Join(err, t.set(func(r *state.RoleFile) { r.ActiveTerm = before.ActiveTerm }))
	}
	for _, b := range taken.Failed {
		failed = append(failed, fmt.Sprintf("dataset %s: %v", b.Dataset, b.Err))
	}
	if !n.HasServices() {
		return failed, nil
	}
	projects, err := prepared.wait(ctx)
	if err != nil {
		return nil, &FailedError{"no project can be started", err}
	}
	if err := n.finishStopping(ctx, t, before, projects); err != nil {
		return nil, err
	}
	return n.startAll(ctx, t, projects, taken, failed)
}

// finishStopping completes the stop of a demotion that was turned round. The engine
// still stops a container whose caller is gone; it counts as running meanwhile and
// would not be started.
func (n *Node) finishStopping(ctx context.Context, t *transition, before state.RoleFile, projects []compose.Project) error {
	if before.In(n.Boot) != state.RoleDemoting {
		return nil
	}
	err := t.step(ctx, "finish stopping", "", hurriedStop+StopMargin, func(ctx context.Context) error {
		return n.Services.Stop(ctx, projects, hurriedStop)
	})
	if ctx.Err() != nil {
		return err
	}
	return nil // what could not be stopped serves on
}

// awaitReceivers waits until nothing is being received any more.
func (n *Node) awaitReceivers(ctx context.Context, t *transition) error {
	if !n.Data.Configured() {
		return nil
	}
	for _, node := range n.Config.Nodes {
		name := "receiver-" + node.Name
		if !n.State.Held(name) {
			continue
		}
		err := t.step(ctx, "stop receiving", node.Name, receiverWait, func(ctx context.Context) error {
			lock, err := n.State.WaitLock(ctx, name)
			if err != nil {
				return err
			}
			return lock.Unlock()
		})
		if err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// takeData makes the datasets writable. It fails if none is.
func (n *Node) takeData(ctx context.Context, t *transition) (data.Result, error) {
	if !n.Data.Configured() {
		return data.Result{}, nil
	}
	result, err := n.Data.Promote(ctx, t.step)
	for _, w := range result.Warnings {
		n.Log.Warn().Msg(w)
	}
	if err != nil {
		return result, &FailedError{"the data can't be made writable", err}
	}
	if result.Usable() <= 0 && result.Datasets > 0 {
		return result, &FailedError{fmt.Sprintf("0 of %d datasets could be made writable", result.Datasets), result.Failed[0].Err}
	}
	return result, nil
}

// preparation loads the projects while the other nodes are asked.
type preparation struct {
	done     chan struct{}
	projects []compose.Project
	err      error
}

func (n *Node) prepare(ctx context.Context) *preparation {
	p := &preparation{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if n.HasServices() {
			ctx, cancel := context.WithTimeout(ctx, findTimeout)
			defer cancel()
			p.projects, p.err = n.Services.Find(ctx)
		}
	}()
	return p
}

func (p *preparation) wait(ctx context.Context) ([]compose.Project, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.done:
		return p.projects, p.err
	}
}

// startAll starts the projects. Those named in services.first start one after the
// other, each once the one before serves; the others then start in parallel. A project
// that fails stops no other.
func (n *Node) startAll(ctx context.Context, t *transition, projects []compose.Project, taken data.Result, failed []string) ([]string, error) {
	err := t.step(ctx, "networks", "", networkTimeout, func(ctx context.Context) error { return n.Services.Networks(ctx, projects) })
	if err != nil {
		failed = append(failed, fmt.Sprintf("networks: %v", err))
	}
	first, rest, unknown := compose.Order(projects, n.Config.Services.First)
	for _, name := range unknown {
		failed = append(failed, fmt.Sprintf("project %s is named in services.first, but does not exist", name))
	}
	started := 0
	var mu sync.Mutex
	start := func(p compose.Project, wait bool) {
		err := n.startOne(ctx, t, p, taken, wait)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = append(failed, fmt.Sprintf("project %s: %v", p.Name, err))
		} else {
			started++
		}
	}
	for _, p := range first {
		start(p, true)
	}
	slots := make(chan struct{}, max(1, n.Config.Services.Parallel))
	var starting sync.WaitGroup
	for _, p := range rest {
		starting.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			start(p, false)
		})
	}
	starting.Wait()
	slices.Sort(failed)
	if started == 0 && len(projects) > 0 && ctx.Err() == nil {
		return nil, &FailedError{"no project could be started", errors.New(strings.Join(failed, "; "))}
	}
	return failed, nil
}

// startOne starts a project, unless its data is missing.
func (n *Node) startOne(ctx context.Context, t *transition, p compose.Project, taken data.Result, wait bool) error {
	return t.step(ctx, "start", p.Name, n.Config.Services.StartTimeout, func(ctx context.Context) error {
		if p.Err != nil {
			return p.Err
		}
		if dataset := lies(p.Binds, taken); dataset != "" {
			return skipped(fmt.Sprintf("not started: its dataset %s is not writable and mounted", dataset))
		}
		for _, w := range p.Warnings {
			n.Log.Warn().Str("project", p.Name).Msg(w)
		}
		if err := n.Services.Up(ctx, p); err != nil {
			return err
		}
		if wait {
			return n.Services.Serving(ctx, p)
		}
		return nil
	})
}

// lies returns the dataset without which a project would start on wrong data; "" when
// there is none. It is a failed dataset that holds one of the paths or lies below one,
// or a dataset mounted nowhere that belongs where a path is.
func lies(paths []string, taken data.Result) string {
	for _, b := range taken.Failed {
		if b.Mountpoint != "" && slices.ContainsFunc(paths, func(path string) bool { return below(path, b.Mountpoint) || below(b.Mountpoint, path) }) {
			return b.Dataset
		}
	}
	for _, u := range taken.Unmounted {
		covered := func(path string) bool {
			return slices.ContainsFunc(taken.Mounted, func(m string) bool { return below(path, m) && below(m, u.Mountpoint) })
		}
		if slices.ContainsFunc(paths, func(path string) bool { return below(path, u.Mountpoint) && !covered(path) }) {
			return u.Dataset
		}
	}
	return ""
}

// below reports whether path is dir or lies in it.
func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// refuse ends a promotion that the gate has stopped before anything was touched. The
// node releases the virtual IP instead of serving nothing.
func (n *Node) refuse(t *transition, before state.RoleFile, cause error) error {
	// The transition's context may be about to end; this must be done.
	ctx := context.Background()
	var excluded error
	if refused, ok := errors.AsType[*rules.RefusedError](cause); !ok {
		excluded = n.Exclude(ctx, state.IneligibleRefused, cause.Error())
	} else if refused.Excludes() {
		excluded = n.Exclude(ctx, refused.Kind, cause.Error())
	}
	// A promotion that was killed between two steps may have left something running or
	// writable.
	if rules.Writes(before, n.Boot) {
		return errors.Join(n.abandon(ctx, t, cause), excluded)
	}
	ended := t.end(rules.Refused, cause)
	n.Lease.Release()
	return errors.Join(cause, excluded, ended)
}

// abandon ends a promotion that failed. Everything is stopped, and the virtual IP goes
// to another node that may have more luck. This node tries again only after the
// operator has checked it. The demotion that follows is a transition of its own.
func (n *Node) abandon(ctx context.Context, t *transition, cause error) error {
	excluded := n.Exclude(ctx, state.IneligiblePromotion, "the last promotion here failed: "+cause.Error())
	if err := t.end(rules.Failed, cause); err != nil {
		return errors.Join(cause, excluded, err)
	}
	return errors.Join(cause, excluded, n.change(ctx, t.current(), state.RoleFault, state.Request{
		Seq: t.current().RequestSeq, Requested: state.RequestFault, Source: state.SourceGuard, Reason: cause.Error(),
	}))
}
