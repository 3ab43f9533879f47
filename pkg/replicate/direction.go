package replicate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// reversed is an entry of the config for a node that holds the dataset under
// its target's name, and sends it to others under its own.
func reversed(d config.Dataset) config.Dataset {
	back := config.Dataset{Name: d.TargetName(), Target: d.Name, Recursive: d.Recursive}
	for _, excluded := range d.Exclude {
		back.Exclude = append(back.Exclude, d.TargetName()+strings.TrimPrefix(excluded, d.Name))
	}
	return back
}

// bothWays is what a standby may be sent: with a target, either of the two
// nodes may be the active one. Another pool of the same machine is only ever
// a target.
func bothWays(entries []config.Dataset, local bool) Scope {
	scope := slices.Clone(Scope(entries))
	for _, d := range entries {
		if !local && d.TargetName() != d.Name {
			scope = append(scope, reversed(d))
		}
	}
	return scope
}

// outward is what this node sends, each entry in the direction that what lies
// here asks for: a node that was promoted holds a dataset with a target under
// the target's name.
func (e *Engine) outward(ctx context.Context) (Scope, error) {
	scope := slices.Clone(Scope(e.Config.Replication.Datasets))
	var roots []zfs.Root
	for _, d := range scope {
		if d.TargetName() != d.Name {
			roots = append(roots, zfs.Root{Name: d.Name}, zfs.Root{Name: d.TargetName()})
			if zfs.Parent(d.TargetName()) == "" {
				roots = append(roots, zfs.Root{Name: d.TargetName() + "/" + rootName})
			}
		}
	}
	local := slices.ContainsFunc(e.Config.Standbys(e.Self), func(n config.Node) bool { return n.Local })
	if len(roots) == 0 || local {
		return scope, nil
	}
	here, err := e.ZFS.DatasetsBare(ctx, roots)
	if err != nil {
		return nil, err
	}
	here = e.owned(here)
	for i, d := range scope {
		turn, err := turned(d, here)
		if err != nil {
			return nil, err
		}
		if turn {
			scope[i] = reversed(d)
		}
	}
	return scope, nil
}

// turned says whether what this node holds of an entry lies under the target's
// name. One that is a replica is not what this node holds.
func turned(d config.Dataset, here []zfs.Dataset) (bool, error) {
	find := func(name string) *zfs.Dataset {
		if i := slices.IndexFunc(here, func(h zfs.Dataset) bool { return h.Name == name }); i >= 0 {
			return &here[i]
		}
		return nil
	}
	name, target := find(d.Name), find(d.TargetName())
	if target != nil && zfs.Parent(target.Name) == "" && target.StreamFlags == "" {
		target = find(target.Name + "/" + rootName) // the pool itself is there in any case
	}
	switch {
	case d.TargetName() == d.Name || target == nil || target.Replica():
		return false, nil
	case name == nil || name.Replica():
		return true, nil
	}
	return false, &Refusal{
		What:   fmt.Sprintf("%s and its target %s are both on this node, and both writable: it can't be told which one is to be sent", d.Name, d.TargetName()),
		Advice: fmt.Sprintf("only one of them belongs on a node: rename the other one away, or if %s is what this node received, 'zfs set readonly=on %s'", d.TargetName(), d.TargetName()),
	}
}
