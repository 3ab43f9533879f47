package replicate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// maxSnapshotArgs bounds the bytes of snapshot names in one atomic call.
const maxSnapshotArgs = 128 << 10

// takeSnapshot takes the run's snapshot and returns the source's inventory after it. A
// snapshot that can't be taken is part of the result, not an error: the older snapshots
// are sent anyway.
//
// In mode "changed" the datasets that were written to since their newest snapshot get
// one, all in the same transaction group. Afterwards it verifies that the others still
// equal their newest snapshot. If one was written to in between, all datasets get a
// snapshot in a second atomic call. So the standby receives one moment of the whole
// tree.
func (e *Engine) takeSnapshot(ctx context.Context, scope plan.Scope, mode string, dryRun bool) (SnapshotResult, []zfs.Dataset, error) {
	if mode == "changed" {
		for _, pool := range poolsOf(scope) {
			if err := e.ZFS.SyncPool(ctx, pool); err != nil && !errors.Is(err, zfs.Missing) {
				return SnapshotResult{}, nil, fmt.Errorf("write out pool %s: %w", pool, err)
			}
		}
	}
	before, err := e.sources(ctx, scope)
	if err != nil {
		return SnapshotResult{}, nil, err
	}
	if mode == "never" {
		return SnapshotResult{Reason: "--snapshot never"}, before, nil
	}
	wanted, reason := want(before, mode)
	if len(wanted) == 0 {
		return SnapshotResult{Reason: "nothing was written since the newest snapshots"}, before, nil
	}
	result := SnapshotResult{Name: e.freeName(before), Datasets: wanted, Reason: reason}
	if dryRun {
		return result, pretend(before, wanted, result.Name), nil
	}
	if err := e.hook(ctx, "pre_snapshot", e.Config.Replication.PreSnapshot, result.Name); err != nil {
		return SnapshotResult{}, nil, err
	}
	after, err := e.snapshotAndList(ctx, scope, before, &result, mode)
	if hookErr := e.hook(ctx, "post_snapshot", e.Config.Replication.PostSnapshot, result.Name); hookErr != nil {
		return result, nil, hookErr
	}
	return result, after, err
}

// snapshotTries is how often a snapshot is tried because a dataset was destroyed since
// the listing, or written to during it.
const snapshotTries = 3

// snapshotAndList takes the snapshot and lists the datasets again.
func (e *Engine) snapshotAndList(ctx context.Context, scope plan.Scope, all []zfs.Dataset, result *SnapshotResult, mode string) ([]zfs.Dataset, error) {
	for try := 1; ; try++ {
		err := e.snapshot(ctx, scope, all, result.Datasets, result.Name)
		if err != nil && (try == snapshotTries || !errors.Is(err, zfs.Missing)) {
			result.fail(fmt.Errorf("take snapshot @%s: %w", result.Name, err))
		}
		listed, listErr := e.sources(ctx, scope)
		if listErr != nil {
			return nil, listErr
		}
		all = listed
		late := lateWrites(all, result.Datasets)
		switch {
		case result.Error != "" || err == nil && len(late) == 0 || try == snapshotTries:
			return all, nil
		case err != nil:
			e.Log.Info().Err(err).Msg("a dataset is gone: taking the snapshot of the others")
			if result.Datasets, result.Reason = want(all, mode); len(result.Datasets) == 0 {
				*result = SnapshotResult{Reason: "nothing was written since the newest snapshots"}
				return all, nil
			}
		default:
			e.Log.Info().Strs("datasets", late).Msg("written to during the snapshot: taking a snapshot of all datasets")
			result.Datasets = names(all)
		}
		result.Name = e.freeName(all)
	}
}

// freeName returns the name of a snapshot of this second, or of the next one that no
// dataset has a snapshot of.
func (e *Engine) freeName(datasets []zfs.Dataset) string {
	for at := e.Now(); ; at = at.Add(time.Second) {
		name := plan.SnapshotName(e.Config.Replication.Prefix, at)
		taken := slices.ContainsFunc(datasets, func(d zfs.Dataset) bool {
			return slices.ContainsFunc(d.Snapshots, func(s zfs.Snap) bool { return s.Name == name })
		})
		if !taken {
			return name
		}
	}
}

// owned returns the datasets as a plan needs them: a node that hands over has made its
// datasets read-only, but they are no replicas.
func (e *Engine) owned(datasets []zfs.Dataset) []zfs.Dataset {
	if e.handsOver {
		for i := range datasets {
			datasets[i].ReadOnly = false
		}
	}
	return datasets
}

// sources lists the datasets to replicate.
func (e *Engine) sources(ctx context.Context, scope plan.Scope) ([]zfs.Dataset, error) {
	all, err := e.ZFS.Datasets(ctx, scope.Sources())
	if err != nil {
		return nil, err
	}
	var datasets []zfs.Dataset
	e.keeps = false
	for _, d := range e.owned(all) {
		e.keeps = e.keeps || zfs.IsPreserved(d.Name)
		if _, ok := scope.Target(d.Name); ok {
			datasets = append(datasets, d)
		}
	}
	return datasets, nil
}

// missing returns the datasets of the configuration that do not exist. A typing error
// leaves data unprotected, and so does a pool that is not imported.
func missing(scope plan.Scope, datasets []zfs.Dataset) error {
	var errs []error
	for _, root := range scope {
		if !slices.ContainsFunc(datasets, func(d zfs.Dataset) bool { return d.Name == root.Name }) {
			errs = append(errs, &MissingDataset{Name: root.Name})
		}
	}
	return errors.Join(errs...)
}

// MissingDataset is a dataset of the configuration that this node does not have.
type MissingDataset struct{ Name string }

func (e *MissingDataset) Error() string {
	return fmt.Sprintf("dataset %s: it is in the config, but not on this node", e.Name)
}

// Hint names the usual causes.
func (e *MissingDataset) Hint() string {
	return "see 'zfs list' and replication.datasets; a pool that is not imported comes back with 'zpool import'"
}

// want returns the datasets that need a snapshot, and why.
func want(datasets []zfs.Dataset, mode string) ([]string, string) {
	if mode == "always" {
		return names(datasets), "--snapshot always"
	}
	var changed []string
	for i := range datasets {
		d := &datasets[i]
		_, any := d.Newest()
		if takesSnapshots(d) && (!any || d.Written > 0) {
			changed = append(changed, d.Name)
		}
	}
	return changed, fmt.Sprintf("%d of %d datasets were written to", len(changed), len(datasets))
}

// lateWrites returns the datasets that got no snapshot though they were written to
// before it was taken.
func lateWrites(after []zfs.Dataset, wanted []string) []string {
	var late []string
	for _, d := range after {
		if d.Written > 0 && takesSnapshots(&d) && !slices.Contains(wanted, d.Name) {
			late = append(late, d.Name)
		}
	}
	return late
}

// snapshot takes one atomic snapshot of the wanted datasets: recursively if that is the
// same, else by their names.
func (e *Engine) snapshot(ctx context.Context, scope plan.Scope, all []zfs.Dataset, wanted []string, name string) error {
	size := 0
	byPool := map[string][]string{}
	for _, dataset := range wanted {
		size += len(dataset) + len(name) + 2
		pool := zfs.PoolOf(dataset)
		byPool[pool] = append(byPool[pool], dataset+"@"+name)
	}
	whole := len(wanted) == len(all) && len(scope) == 1 && scope[0].Recursive && len(scope[0].Exclude) == 0 && !e.keeps
	if whole {
		return e.ZFS.SnapshotRecursive(ctx, scope[0].Name+"@"+name)
	}
	if size > maxSnapshotArgs {
		return fmt.Errorf("%d datasets do not fit one atomic call: replicate them as trees, without naming each", len(wanted))
	}
	for _, snapshots := range byPool { // a snapshot is atomic only within a pool
		if err := e.ZFS.Snapshot(ctx, snapshots...); err != nil {
			return err
		}
	}
	return nil
}

// pretend adds the snapshots that a run would take.
func pretend(datasets []zfs.Dataset, wanted []string, name string) []zfs.Dataset {
	for i := range datasets {
		if slices.Contains(wanted, datasets[i].Name) {
			datasets[i].Snapshots = append(slices.Clone(datasets[i].Snapshots), zfs.Snap{Name: name, CreateTXG: ^uint64(0)})
		}
	}
	return datasets
}

// names returns the names of the datasets that take snapshots.
func names(datasets []zfs.Dataset) []string {
	all := make([]string, 0, len(datasets))
	for i := range datasets {
		if takesSnapshots(&datasets[i]) {
			all = append(all, datasets[i].Name)
		}
	}
	return all
}

// takesSnapshots reports whether this node may take a snapshot of a dataset. A snapshot
// of a replica would prevent the next stream into it, and a partial receive can't have
// one.
func takesSnapshots(d *zfs.Dataset) bool {
	return !d.Container && !d.Replica() && (d.ResumeToken == "" || len(d.Snapshots) > 0)
}

func poolsOf(scope plan.Scope) []string {
	var pools []string
	for _, d := range scope {
		if pool := zfs.PoolOf(d.Name); !slices.Contains(pools, pool) {
			pools = append(pools, pool)
		}
	}
	return pools
}

// hook runs a program of the operator.
func (e *Engine) hook(ctx context.Context, name string, hook hookConfig, snapshot string) error {
	if len(hook.Command) == 0 {
		return nil
	}
	err := e.Runner.Run(ctx, run.Command{Argv: hook.Command, Timeout: hook.Timeout,
		Env: []string{"UNDERSTUDY_HOOK=" + name, "UNDERSTUDY_NODE=" + e.Self.Name, "UNDERSTUDY_SNAPSHOT=" + snapshot}})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("hook %s: %w", name, err)
	if hook.OnFailure == "stop" {
		return err
	}
	e.Log.Warn().Err(err).Msg("continuing without it")
	return nil
}

// outward returns the datasets that this node sends, each entry in the direction of the
// dataset that it holds.
func (e *Engine) outward(ctx context.Context) (plan.Scope, error) {
	scope := plan.Scope(e.Config.Replication.Datasets)
	roots := scope.DirectionRoots()
	local := slices.ContainsFunc(e.Config.Standbys(e.Self), func(n config.Node) bool { return n.Local })
	if len(roots) == 0 || local {
		return scope, nil
	}
	here, err := e.ZFS.DatasetsBare(ctx, roots)
	if err != nil {
		return nil, err
	}
	return scope.Facing(e.owned(here))
}
