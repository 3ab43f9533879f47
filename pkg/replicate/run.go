package replicate

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

type hookConfig = config.Hook

// lockName is held by whatever changes datasets from this node.
const lockName = "zfs-replicate"

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

	handsOver bool // this run is the last one before another node is active
	keeps     bool // what was listed last holds kept tails, which get no snapshots
}

// Options say what a run is to do.
type Options struct {
	Dataset  string // only this one and those below it
	To       string // only this standby
	Snapshot string // changed, always or never; "" is what the config says
	DryRun   bool   // plan only: nothing is changed on any node
	Progress Progress
}

// Run replicates once, to all standbys at the same time. The result is
// returned with the error too, as far as the run got.
func (e *Engine) Run(ctx context.Context, o Options) (*Result, error) {
	started := e.Now()
	// What is wrong with the role is said by mayRun.
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
		lock, err := e.State.Lock(lockName)
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

	// The connections are made while the snapshot is taken.
	hello := request{Release: e.Release, Node: e.Self.Name, Role: role.Role, Term: role.Term, DryRun: o.DryRun}
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
		unlink() // nobody waits for connections that are still being made
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
	} else if plan, err := e.planPrune(ctx, source); err == nil {
		result.Pruned = plan
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

// scope is what this node sends, or one tree of it.
func (e *Engine) scope(ctx context.Context, dataset string) (Scope, error) {
	if len(e.Config.Replication.Datasets) == 0 {
		return nil, &Usage{What: "no datasets to replicate", Advice: "list them under replication.datasets in the config"}
	}
	all, err := e.outward(ctx)
	if err != nil || dataset == "" {
		return all, err
	}
	return narrow(all, dataset)
}

func narrow(all Scope, dataset string) (Scope, error) {
	for _, d := range all {
		if covers(d, dataset, d.Name) {
			only := config.Dataset{Name: dataset, Recursive: d.Recursive, Target: d.TargetName() + strings.TrimPrefix(dataset, d.Name)}
			for _, excluded := range d.Exclude {
				if zfs.Within(excluded, dataset) {
					only.Exclude = append(only.Exclude, excluded)
				}
			}
			return Scope{only}, nil
		}
	}
	return nil, &Usage{What: "dataset " + dataset + " is not replicated", Advice: "see replication.datasets in the config"}
}

func (e *Engine) standbys(only string) ([]config.Node, error) {
	all := e.Config.Standbys(e.Self)
	if len(all) == 0 {
		return nil, &Usage{What: "no standby to replicate to", Advice: "list the other nodes under nodes: in the config"}
	}
	if only == "" {
		return all, nil
	}
	var known []string
	for _, node := range all {
		if node.Name == only {
			return []config.Node{node}, nil
		}
		known = append(known, node.Name)
	}
	return nil, &Usage{What: "no standby is called " + only, Advice: "the standbys of this node: " + strings.Join(known, ", ")}
}

// finish prunes here and writes the record, in this order: what the record
// protects is protected from this run's pruning too.
func (e *Engine) finish(ctx context.Context, result *Result, source []zfs.Dataset, o Options) error {
	var record Record
	if _, err := e.State.Read(recordName, &record); err != nil {
		return err
	}
	for _, s := range result.Standbys {
		e.note(&record, s, o.Dataset == "")
	}
	if err := e.State.Write(recordName, record); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	p := pruner{zfs: e.ZFS, prefix: e.Config.Replication.Prefix, keep: e.Config.Replication.Keep}
	result.Pruned = p.prune(ctx, source, e.protect(&record))
	result.settle()
	return nil
}

func (e *Engine) planPrune(ctx context.Context, source []zfs.Dataset) ([]Pruned, error) {
	var record Record
	if _, err := e.State.Read(recordName, &record); err != nil {
		return nil, err
	}
	p := pruner{zfs: e.ZFS, prefix: e.Config.Replication.Prefix, keep: e.Config.Replication.Keep, dryRun: true}
	return p.prune(ctx, source, e.protect(&record)), nil
}

func (e *Engine) protect(record *Record) map[string]map[uint64]bool {
	var nodes []string
	for _, node := range e.Config.Standbys(e.Self) {
		nodes = append(nodes, node.Name)
	}
	return record.protected(nodes)
}
