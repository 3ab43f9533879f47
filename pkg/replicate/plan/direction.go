package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// reversed returns an entry for a node that holds the dataset under its target's
// name and sends it to the others under its own.
func reversed(d config.Dataset) config.Dataset {
	back := config.Dataset{Name: d.TargetName(), Target: d.Name, Recursive: d.Recursive}
	for _, excluded := range d.Exclude {
		back.Exclude = append(back.Exclude, d.TargetName()+strings.TrimPrefix(excluded, d.Name))
	}
	return back
}

// BothWays returns the scope of a standby: an entry with a target can come from
// either node, since either may be active. Another pool of the same machine is only
// ever a target.
func BothWays(entries []config.Dataset, local bool) Scope {
	scope := slices.Clone(Scope(entries))
	for _, d := range entries {
		if !local && d.TargetName() != d.Name {
			scope = append(scope, reversed(d))
		}
	}
	return scope
}

// DirectionRoots returns the datasets that tell which way the entries go: those
// with a target of another name. None are needed where no entry has one.
func (s Scope) DirectionRoots() []zfs.Root {
	var roots []zfs.Root
	for _, d := range s {
		if d.TargetName() != d.Name {
			roots = append(roots, zfs.Root{Name: d.Name}, zfs.Root{Name: d.TargetName()})
			if zfs.Parent(d.TargetName()) == "" {
				roots = append(roots, zfs.Root{Name: d.TargetName() + "/" + RootName})
			}
		}
	}
	return roots
}

// Facing returns the scope as seen from the node that holds these datasets: each
// entry in the direction in which that node sends it. A node that was promoted
// holds a dataset with a target under the target's name.
func (s Scope) Facing(held []zfs.Dataset) (Scope, error) {
	facing := slices.Clone(s)
	for i, d := range facing {
		turn, err := turned(d, held)
		if err != nil {
			return nil, err
		}
		if turn {
			facing[i] = reversed(d)
		}
	}
	return facing, nil
}

// turned reports whether a node holds an entry under the target's name. A replica
// does not count as held.
func turned(d config.Dataset, here []zfs.Dataset) (bool, error) {
	find := func(name string) *zfs.Dataset {
		if i := slices.IndexFunc(here, func(h zfs.Dataset) bool { return h.Name == name }); i >= 0 {
			return &here[i]
		}
		return nil
	}
	name, target := find(d.Name), find(d.TargetName())
	if target != nil && zfs.Parent(target.Name) == "" && target.StreamFlags == "" {
		target = find(target.Name + "/" + RootName) // the pool itself always exists
	}
	switch {
	case d.TargetName() == d.Name || target == nil || target.Replica():
		return false, nil
	case name == nil || name.Replica():
		return true, nil
	}
	return false, &Refusal{
		What:   fmt.Sprintf("%s and its target %s are both on this node and both writable: which of them to send is ambiguous", d.Name, d.TargetName()),
		Advice: fmt.Sprintf("only one of them belongs on a node: rename the dataset that does not, or if this node received %s, run 'zfs set readonly=on %s'", d.TargetName(), d.TargetName()),
	}
}
