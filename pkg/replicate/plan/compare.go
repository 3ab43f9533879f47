package plan

import (
	"slices"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Roots returns the datasets that a node lists to be compared with another one: the
// entries under either of their names. None lies within a recursive one.
func Roots(entries []config.Dataset, local bool) []zfs.Root {
	scope := BothWays(entries, local)
	all := append(scope.Sources(), scope.Targets()...)
	var roots []zfs.Root
	for i, root := range all {
		if !slices.ContainsFunc(all[:i], func(r zfs.Root) bool { return r == root }) && !inRecursive(root, all) {
			roots = append(roots, root)
		}
	}
	return roots
}

// inRecursive reports whether a root is listed with another one anyway.
func inRecursive(root zfs.Root, all []zfs.Root) bool {
	return slices.ContainsFunc(all, func(r zfs.Root) bool {
		return r.Recursive && r != root && zfs.Within(root.Name, r.Name)
	})
}

// Comparison is how a standby differs from the source.
type Comparison struct {
	Plan
	// Excluded are datasets of the source that are not replicated though they
	// lie within one that is.
	Excluded []string
}

// Compare compares two inventories as a run that begins now does. It ignores
// partial receives, and that the source's datasets are read-only, as those of a node
// that has just stepped down. touched names targets that hold more than ZFS counts
// as written: see Input.
func Compare(entries []config.Dataset, local bool, source, target []zfs.Dataset, touched map[zfs.GUID]bool) (Comparison, error) {
	scope := Scope(entries)
	if !local {
		var err error
		if scope, err = scope.Facing(source); err != nil {
			return Comparison{}, err
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
		if scope.Lists(zfs.Root{Name: d.Name}) {
			there = append(there, d)
		}
	}
	c.Plan = Make(Input{Scope: scope, Source: held, Target: there, Touched: touched})
	return c, nil
}

// excludes reports whether an entry leaves out a dataset within it.
func excludes(d config.Dataset, name string) bool {
	return slices.ContainsFunc(d.Exclude, func(excluded string) bool { return zfs.Within(name, excluded) })
}

// MissingDatasets returns the entries that the source does not hold: under either
// name, or under its own where the standby is local.
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
