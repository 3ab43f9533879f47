package data

import (
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// rootName is the dataset that holds the content of a pool's root on a node
// that received it.
const rootName = "understudy-root"

// candidates returns the datasets at or below which this node may hold the
// replicated ones.
func (d *Data) candidates() []string {
	var roots []string
	for _, entry := range d.cfg.Replication.Datasets {
		roots = append(roots, entry.Name)
		if !d.hasLocalStandby() {
			roots = append(roots, entry.TargetName())
		}
	}
	slices.Sort(roots)
	return slices.Compact(roots)
}

// hasLocalStandby reports whether another pool of this machine is configured as a
// standby: the datasets with the targets' names then belong to that standby.
func (d *Data) hasLocalStandby() bool {
	return slices.ContainsFunc(d.cfg.Nodes, func(n config.Node) bool { return n.Local })
}

// localRoot returns the name that a configured dataset has on this node, or "". A
// node that received it has it under the target's name. If both names exist, the
// received dataset is the replicated one.
func (d *Data) localRoot(entry config.Dataset, all map[string]*dataset) string {
	name, target := entry.Name, entry.TargetName()
	own, copied := all[name], all[target]
	if copied != nil && zfs.Parent(target) == "" && !wasReceived(target, all) {
		copied = nil // a pool's root exists in any case
	}
	switch {
	case name == target || d.hasLocalStandby() || copied == nil:
		if own == nil {
			return ""
		}
		return name
	case own == nil, wasReceived(target, all) && !wasReceived(name, all):
		return target
	}
	return name
}

func wasReceived(root string, all map[string]*dataset) bool {
	if all[root].container {
		return true
	}
	return all[root].stream.Local() != ""
}

// covers reports whether a dataset belongs to an entry whose local root is root.
func covers(entry config.Dataset, root, name string) bool {
	if zfs.IsPreserved(name) {
		return false
	}
	if zfs.Parent(root) == "" && name == root+"/"+rootName {
		return true
	}
	if name != root && (!entry.Recursive || !zfs.Within(name, root)) {
		return false
	}
	source := entry.Name + strings.TrimPrefix(name, root)
	return !slices.ContainsFunc(entry.Exclude, func(excluded string) bool { return zfs.Within(source, excluded) })
}
