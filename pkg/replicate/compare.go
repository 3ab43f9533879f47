package replicate

import (
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Roots are the datasets that a node lists to be compared with another one:
// what it holds of the entries, under whichever of its names. None lies within
// another that is recursive.
func Roots(entries []config.Dataset, local bool) []zfs.Root {
	scope := bothWays(entries, local)
	all := append(scope.Sources(), scope.Targets()...)
	var roots []zfs.Root
	for i, root := range all {
		if !slices.ContainsFunc(all[:i], func(r zfs.Root) bool { return r == root }) && !inRecursive(root, all) {
			roots = append(roots, root)
		}
	}
	return roots
}

// inRecursive says whether a root is listed with another one anyway.
func inRecursive(root zfs.Root, all []zfs.Root) bool {
	return slices.ContainsFunc(all, func(r zfs.Root) bool {
		return r.Recursive && r != root && zfs.Within(root.Name, r.Name)
	})
}

// Comparison is what a standby lacks of what the source holds.
type Comparison struct {
	Plan
	// Excluded are datasets of the source that are not replicated though they
	// lie within one that is.
	Excluded []string
}

// Compare compares two inventories as a run would that begins now. Partial
// receives are not looked into. That the source's datasets are read-only, as
// those of a node that has just been demoted, makes no difference.
func Compare(entries []config.Dataset, local bool, source, target []zfs.Dataset) (Comparison, error) {
	return compare(entries, local, source, target, nil)
}

// compare is Compare, with what is known of targets of which ZFS counts little as
// written: see PlanInput.
func compare(entries []config.Dataset, local bool, source, target []zfs.Dataset, touched map[uint64]bool) (Comparison, error) {
	scope := slices.Clone(Scope(entries))
	for i, d := range scope {
		if local {
			break
		}
		turn, err := turned(d, source)
		if err != nil {
			return Comparison{}, err
		}
		if turn {
			scope[i] = reversed(d)
		}
	}
	var c Comparison
	var held, there []zfs.Dataset
	for _, d := range source {
		switch _, sent := scope.Target(d.Name); {
		case sent:
			d.ReadOnly = false
			held = append(held, d)
		case slices.ContainsFunc(scope, func(r config.Dataset) bool { return excludes(r, d.Name) }):
			c.Excluded = append(c.Excluded, d.Name)
		}
	}
	for _, d := range target {
		if scope.lists(zfs.Root{Name: d.Name}) {
			there = append(there, d)
		}
	}
	c.Plan = MakePlan(PlanInput{Scope: scope, Source: held, Target: there, Touched: touched})
	return c, nil
}

// excludes says whether an entry leaves a dataset out that lies within it.
func excludes(d config.Dataset, name string) bool {
	return slices.ContainsFunc(d.Exclude, func(excluded string) bool { return zfs.Within(name, excluded) })
}

// Newest is the newest snapshot of a dataset, bookmarks left out.
func Newest(d *zfs.Dataset) (zfs.Snap, bool) { return newestSnapshot(d) }

// SnapshotTime reads the time from the name of a snapshot of ours.
func SnapshotTime(prefix, name string) (time.Time, bool) { return snapshotTime(prefix, name) }

// ReadRecords returns what this node remembers of sending and of receiving;
// what there is not yet is nil.
func ReadRecords(dir *state.Dir) (sent *Record, received *ReceivedRecord, err error) {
	if found, err := dir.Read(recordName, &sent); err != nil || !found {
		sent = nil
		if err != nil {
			return nil, nil, err
		}
	}
	if found, err := dir.Read(receivedName, &received); err != nil || !found {
		return sent, nil, err
	}
	return sent, received, nil
}

// MissingDatasets are those of the entries that the source does not hold, under
// either name unless the standby is local.
func MissingDatasets(entries []config.Dataset, local bool, source []zfs.Dataset) []string {
	has := func(name string) bool {
		return slices.ContainsFunc(source, func(d zfs.Dataset) bool { return d.Name == name })
	}
	var missing []string
	for _, d := range entries {
		if !has(d.Name) && (local || !has(d.TargetName())) {
			missing = append(missing, d.Name)
		}
	}
	return missing
}
