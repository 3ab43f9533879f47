package replicate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

type hookConfig = config.Hook

// Engine is the sending side.
type Engine struct {
	Config  *config.Config
	Self    config.Node
	Release string
	State   *state.Dir
	ZFS     *zfs.ZFS
	Runner  run.Programs
	Log     zerolog.Logger
	Now     func() time.Time
	Dialer  session.Dialer // to the standbys, but for those on this machine

	handsOver bool // this is the last run before another node becomes active
	keeps     bool // the last listing has preserved copies, which get no snapshots
}

// Options select the work of a run.
type Options struct {
	Dataset  string // only this dataset and those below it
	To       string // only this standby
	Snapshot string // changed, always or never; "" is the configuration's
	DryRun   bool   // plan only: nothing is changed on any node
	Progress Progress
}

// Run replicates once, to all standbys at the same time. The result is
// returned with the error too, as far as the run got.
func (e *Engine) Run(ctx context.Context, o Options) (*Result, error) {
	started := e.Now()
	// mayRun reports an unreadable role.
	before, _ := e.State.Role()
	e.handsOver = before.HandsOver()
	scope, err := e.scope(ctx, o.Dataset)
	if err != nil {
		return nil, err
	}
	standbys, err := e.standbys(o.To)
	if err != nil {
		return nil, err
	}
	role, err := e.mayRun()
	if err != nil {
		return nil, err
	}
	if e.handsOver {
		role.Role = state.RoleActive // until the other node is
	}
	if !o.DryRun {
		lock, err := e.State.Lock(session.SenderLock)
		if err != nil {
			return nil, err
		}
		defer lock.Unlock()
	}
	result := &Result{Node: e.Self.Name, Started: started.UTC(), DryRun: o.DryRun}
	defer func() {
		result.Seconds = e.Now().Sub(started).Seconds()
		result.Processes = e.Runner.Counts()
	}()

	// The sessions are opened while the snapshot is taken.
	hello := session.Hello{Release: e.Release, Node: e.Self.Name, Role: role.Role, Term: role.Term, DryRun: o.DryRun}
	linked, unlink := context.WithCancel(ctx)
	links := make([]*link, len(standbys))
	for i, node := range standbys {
		links[i] = e.connect(linked, node, scope, hello)
		result.Standbys = append(result.Standbys, &StandbyResult{Node: node.Name})
	}
	defer func() {
		for _, l := range links {
			l.close()
		}
		unlink()
	}()
	mode := o.Snapshot
	if mode == "" {
		mode = e.Config.Replication.Snapshot
	}
	snapshot, source, err := e.takeSnapshot(ctx, scope, mode, o.DryRun)
	result.Snapshot = snapshot
	if err != nil {
		unlink() // sessions that are still being opened are abandoned
		return result, err
	}
	if result.missing = missing(scope, source); result.missing != nil {
		result.Missing = result.missing.Error()
	}

	var all sync.WaitGroup
	for i, l := range links {
		all.Go(func() { e.replicate(ctx, l, scope, source, o, result.Standbys[i]) })
	}
	all.Wait()

	var errs error
	if !o.DryRun {
		errs = e.finish(ctx, result, source, o)
	} else if pruned, err := e.pruneSource(ctx, source, true); err == nil {
		result.Pruned = pruned
	}
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	return result, errors.Join(result.Err(), errs)
}

func (e *Engine) mayRun() (state.RoleFile, error) {
	role, err := e.State.Role()
	if err != nil || !e.Config.Replication.RequireRole {
		return role, err
	}
	return role, mayRun(role, e.Self.Name)
}

// scope returns the datasets that this node sends, or one tree of them.
func (e *Engine) scope(ctx context.Context, dataset string) (plan.Scope, error) {
	if len(e.Config.Replication.Datasets) == 0 {
		return nil, &plan.Usage{What: "no datasets to replicate", Advice: "list them under replication.datasets in the config"}
	}
	all, err := e.outward(ctx)
	if err != nil || dataset == "" {
		return all, err
	}
	return all.Narrow(dataset)
}

func (e *Engine) standbys(only string) ([]config.Node, error) {
	return plan.Standbys(e.Config.Standbys(e.Self), only)
}

// finish writes the record and then prunes on this node, so that the record protects
// this run's common snapshots.
func (e *Engine) finish(ctx context.Context, result *Result, source []zfs.Dataset, o Options) error {
	sent, _, err := e.State.Sent()
	if err != nil {
		return err
	}
	for _, s := range result.Standbys {
		e.record(&sent, s, o.Dataset == "")
	}
	if err := e.State.Write(state.SentName, sent); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	result.Pruned = e.pruner(false).Prune(ctx, source, e.protected(&sent))
	result.settle()
	return nil
}

// protected returns the guids that pruning on this node must leave, by dataset.
func (e *Engine) protected(sent *state.Sent) map[string]map[zfs.GUID]bool {
	var nodes []string
	for _, node := range e.Config.Standbys(e.Self) {
		nodes = append(nodes, node.Name)
	}
	return protected(sent, nodes)
}
