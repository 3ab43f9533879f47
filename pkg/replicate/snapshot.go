package replicate

import (
	"context"
	"fmt"
	"slices"

	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// maxSnapshotArgs bounds the bytes of snapshot names in one atomic call.
const maxSnapshotArgs = 128 << 10

// takeSnapshot takes the run's snapshot and returns the source's inventory
// after it.
//
// In mode "changed" the datasets that were written to since their newest
// snapshot get one, all in the same transaction group. That the others still
// are what their newest snapshot holds is looked at again afterwards: if one
// was written to in between, all get a snapshot in a second atomic call, so
// that what arrives at the standby is one moment of the whole tree.
func (e *Engine) takeSnapshot(ctx context.Context, scope Scope, mode string, dryRun bool) (SnapshotResult, []zfs.Dataset, error) {
	if mode == "changed" && !dryRun {
		for _, pool := range poolsOf(scope) {
			if err := e.ZFS.SyncPool(ctx, pool); err != nil {
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
	result := SnapshotResult{Name: snapshotName(e.Config.Replication.Prefix, e.Now()), Datasets: wanted, Reason: reason}
	if dryRun {
		return result, pretend(before, wanted, result.Name), nil
	}
	if err := e.hook(ctx, "pre_snapshot", e.Config.Replication.PreSnapshot, result.Name); err != nil {
		return SnapshotResult{}, nil, err
	}
	err = e.snapshot(ctx, scope, before, wanted, result.Name)
	if hookErr := e.hook(ctx, "post_snapshot", e.Config.Replication.PostSnapshot, result.Name); err == nil && hookErr != nil {
		return result, nil, hookErr
	}
	if err != nil {
		return SnapshotResult{}, nil, fmt.Errorf("take snapshot @%s: %w", result.Name, err)
	}
	after, err := e.sources(ctx, scope)
	if err != nil {
		return result, nil, err
	}
	if late := lateWrites(after, wanted); len(late) > 0 {
		e.Log.Info().Strs("datasets", late).Msg("written to during the snapshot: taking one of all")
		second := SnapshotResult{Name: snapshotName(e.Config.Replication.Prefix, e.Now()), Datasets: names(after), Reason: reason}
		if second.Name == result.Name { // the same second: the name of the first would be taken
			second.Name = snapshotName(e.Config.Replication.Prefix, e.Now().Add(1e9))
		}
		if err := e.snapshot(ctx, scope, after, second.Datasets, second.Name); err != nil {
			return result, nil, fmt.Errorf("take snapshot @%s: %w", second.Name, err)
		}
		after, err = e.sources(ctx, scope)
		return second, after, err
	}
	return result, after, nil
}

// sources lists the datasets to replicate. One that the config names but that
// is not there is an error: it may be a typing error, and data unprotected.
func (e *Engine) sources(ctx context.Context, scope Scope) ([]zfs.Dataset, error) {
	all, err := e.ZFS.Datasets(ctx, scope.Sources())
	if err != nil {
		return nil, err
	}
	var datasets []zfs.Dataset
	for _, d := range all {
		if _, ok := scope.Target(d.Name); ok {
			datasets = append(datasets, d)
		}
	}
	for _, root := range scope {
		if !slices.ContainsFunc(datasets, func(d zfs.Dataset) bool { return d.Name == root.Name }) {
			return nil, &MissingDataset{Name: root.Name}
		}
	}
	return datasets, nil
}

// MissingDataset is a dataset of the config that this node does not have.
type MissingDataset struct{ Name string }

func (e *MissingDataset) Error() string {
	return fmt.Sprintf("dataset %s: it is in the config, but not on this node", e.Name)
}

// Hint says what to look at.
func (e *MissingDataset) Hint() string {
	return "see 'zfs list' and replication.datasets; a pool that is not imported comes back with 'zpool import'"
}

// want says which datasets need a snapshot, and why.
func want(datasets []zfs.Dataset, mode string) ([]string, string) {
	if mode == "always" {
		return names(datasets), "--snapshot always"
	}
	var changed []string
	for i := range datasets {
		d := &datasets[i]
		_, any := newestSnapshot(d)
		if !d.Container && (!any || d.Written > 0) {
			changed = append(changed, d.Name)
		}
	}
	return changed, fmt.Sprintf("%d of %d datasets were written to", len(changed), len(datasets))
}

// lateWrites are the datasets that got no snapshot though they were written
// to before it was taken.
func lateWrites(after []zfs.Dataset, wanted []string) []string {
	var late []string
	for _, d := range after {
		if d.Written > 0 && !d.Container && !slices.Contains(wanted, d.Name) {
			late = append(late, d.Name)
		}
	}
	return late
}

// snapshot takes one atomic snapshot of the wanted datasets: recursively where
// that is the same, and otherwise by naming each.
func (e *Engine) snapshot(ctx context.Context, scope Scope, all []zfs.Dataset, wanted []string, name string) error {
	size := 0
	byPool := map[string][]string{}
	for _, dataset := range wanted {
		size += len(dataset) + len(name) + 2
		pool := zfs.PoolOf(dataset)
		byPool[pool] = append(byPool[pool], dataset+"@"+name)
	}
	whole := len(wanted) == len(all) && len(scope) == 1 && scope[0].Recursive && len(scope[0].Exclude) == 0
	if whole || size > maxSnapshotArgs && len(scope) == 1 && scope[0].Recursive {
		return e.ZFS.SnapshotRecursive(ctx, scope[0].Name+"@"+name)
	}
	if size > maxSnapshotArgs {
		return fmt.Errorf("%d datasets do not fit one atomic call: replicate them as trees, without naming each", len(wanted))
	}
	for _, snapshots := range byPool { // only within a pool one moment can be had
		if err := e.ZFS.Snapshot(ctx, snapshots...); err != nil {
			return err
		}
	}
	return nil
}

// pretend adds the snapshots that would be taken.
func pretend(datasets []zfs.Dataset, wanted []string, name string) []zfs.Dataset {
	for i := range datasets {
		if slices.Contains(wanted, datasets[i].Name) {
			datasets[i].Snapshots = append(slices.Clone(datasets[i].Snapshots), zfs.Snap{Name: name, CreateTXG: ^uint64(0)})
		}
	}
	return datasets
}

func names(datasets []zfs.Dataset) []string {
	all := make([]string, 0, len(datasets))
	for _, d := range datasets {
		if !d.Container {
			all = append(all, d.Name)
		}
	}
	return all
}

func poolsOf(scope Scope) []string {
	var pools []string
	for _, d := range scope {
		if pool := zfs.PoolOf(d.Name); !slices.Contains(pools, pool) {
			pools = append(pools, pool)
		}
	}
	return pools
}

// hook runs a program of the owner's.
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
	e.Log.Warn().Err(err).Msg("going on without it")
	return nil
}
