package plan

import (
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// RootName is the dataset that holds the content of a pool's root on a standby, below
// the standby's own root. A pool's root always exists, and OpenZFS can receive into an
// existing dataset only by force, which destroys its content.
const RootName = "understudy-root"

// IsRoot reports whether a dataset on a standby holds the content of a pool's root.
func IsRoot(target string) bool { return target == zfs.PoolOf(target)+"/"+RootName }

// Scope is the datasets that are replicated, and their names on a standby.
type Scope []config.Dataset

// Sources returns the datasets to list on the sending node.
func (s Scope) Sources() []zfs.Root {
	roots := make([]zfs.Root, 0, len(s))
	for _, d := range s {
		roots = append(roots, zfs.Root{Name: d.Name, Recursive: d.Recursive})
		if !d.Recursive && zfs.Parent(d.Name) == "" {
			// On this node it may hold the content of another node's pool root.
			roots = append(roots, zfs.Root{Name: d.Name + "/" + RootName})
		}
	}
	return roots
}

// Targets returns the datasets to list on a standby. The content of a pool's root may
// be in the root or below it: both are listed.
func (s Scope) Targets() []zfs.Root {
	roots := make([]zfs.Root, 0, len(s))
	for _, d := range s {
		target := d.TargetName()
		roots = append(roots, zfs.Root{Name: target, Recursive: d.Recursive})
		switch {
		case IsRoot(target):
			roots = append(roots, zfs.Root{Name: zfs.Parent(target)})
		case !d.Recursive && zfs.Parent(target) == "":
			roots = append(roots, zfs.Root{Name: target + "/" + RootName})
		}
	}
	return roots
}

// Parents returns the parents of targets that do not exist yet: they must exist, and
// may be encrypted.
func (s Scope) Parents(there []zfs.Dataset) []zfs.Root {
	var roots []zfs.Root
	for _, d := range s {
		target := d.TargetName()
		parent := zfs.Parent(target)
		if parent != "" && !slices.ContainsFunc(there, func(t zfs.Dataset) bool { return t.Name == target }) {
			roots = append(roots, zfs.Root{Name: parent})
		}
	}
	return roots
}

// Target returns the name of a source dataset on a standby, and false if it is not
// replicated.
func (s Scope) Target(source string) (string, bool) {
	for _, d := range s {
		if IsRoot(source) && zfs.Parent(source) == d.Name && (!d.Recursive || zfs.Parent(d.TargetName()) != "") {
			return d.TargetName(), true // d names the pool's root
		}
		if covers(d, source, d.Name) {
			return d.TargetName() + strings.TrimPrefix(source, d.Name), true
		}
	}
	return "", false
}

// Allows reports whether a dataset on a standby may be received into or pruned.
func (s Scope) Allows(target string) bool {
	if strings.ContainsAny(target, "@#%") { // a dataset's own name, nothing more
		return false
	}
	return slices.ContainsFunc(s, func(d config.Dataset) bool {
		root := d.TargetName()
		if !d.Recursive && zfs.Parent(root) == "" && target == root+"/"+RootName {
			return true
		}
		return covers(d, target, root)
	})
}

// Lists reports whether a sender may list a dataset of a standby: all within the
// targets, and the targets' parents alone.
func (s Scope) Lists(root zfs.Root) bool {
	return slices.ContainsFunc(s, func(d config.Dataset) bool {
		return zfs.Within(root.Name, d.TargetName()) || !root.Recursive && root.Name != "" && root.Name == zfs.Parent(d.TargetName())
	})
}

// covers reports whether name is root or, if the entry is recursive, below it,
// and neither excluded nor a preserved copy.
func covers(d config.Dataset, name, root string) bool {
	if name != root && (!d.Recursive || !zfs.Within(name, root)) {
		return false
	}
	if zfs.IsPreserved(name) {
		return false
	}
	source := d.Name + strings.TrimPrefix(name, root)
	return !slices.ContainsFunc(d.Exclude, func(excluded string) bool { return zfs.Within(source, excluded) })
}

// Narrow returns the scope of one dataset and those below it.
func (s Scope) Narrow(dataset string) (Scope, error) {
	for _, d := range s {
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

// Standbys returns the other nodes, or the one with a name.
func Standbys(all []config.Node, only string) ([]config.Node, error) {
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

// HandedDown reports whether datasets inherit a property from a pool's root that
// changes how they behave or how they are mounted.
func HandedDown(property string) bool {
	switch property {
	case "mountpoint", "compression", "checksum", "atime", "relatime", "recordsize",
		"xattr", "acltype", "aclinherit", "aclmode", "devices", "exec", "setuid",
		"snapdir", "snapdev", "sync", "logbias", "primarycache", "secondarycache",
		"copies", "redundant_metadata", "dnodesize", "volmode", "overlay",
		"special_small_blocks":
		return true
	}
	return false
}
