package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

type planner struct {
	in       Input
	plan     Plan
	sources  map[string]*zfs.Dataset
	targets  map[string]*zfs.Dataset   // by their names after the renames
	byGUID   map[zfs.GUID]*zfs.Dataset // which target holds a snapshot
	claimed  map[string]bool           // names on the standby that sources want
	items    map[string]*Item          // by source
	byTarget map[string]*Item
	visited  map[string]bool
}

func newPlanner(in Input) *planner {
	p := &planner{
		in:      in,
		sources: map[string]*zfs.Dataset{}, targets: map[string]*zfs.Dataset{},
		byGUID: map[zfs.GUID]*zfs.Dataset{}, claimed: map[string]bool{},
		items: map[string]*Item{}, byTarget: map[string]*Item{}, visited: map[string]bool{},
	}
	for i := range in.Source {
		s := &in.Source[i]
		p.sources[s.Name] = s
		if target, ok := in.Scope.Target(s.Name); ok {
			p.claimed[target] = true
		}
	}
	for i := range in.Target {
		t := in.Target[i] // a copy: renames change its name
		p.targets[t.Name] = &t
		for _, snap := range t.Snapshots {
			if !snap.Bookmark {
				p.byGUID[snap.GUID] = &t
			}
		}
	}
	return p
}

// item plans one source dataset, after its parent and its origin.
func (p *planner) item(name string) {
	if p.visited[name] {
		return
	}
	p.visited[name] = true
	s := p.sources[name]
	target, inScope := p.in.Scope.Target(name)
	if s == nil || !inScope {
		return
	}
	p.item(zfs.Parent(name))
	if s.Origin != "" {
		p.item(zfs.DatasetOf(s.Origin))
	}
	item := &Item{Source: name, Target: target, Type: s.Type}
	p.items[name] = item
	p.fill(item, s)
}

func (p *planner) fill(item *Item, s *zfs.Dataset) {
	if s.Container {
		item.Action = Container
		item.Reason = "a pool's own root; its content is in " + s.Name + "/" + RootName
		return
	}
	if s.Replica() {
		p.byTarget[item.Target] = item
		item.refuse(Refused, "it is a replica here: read-only, and received from another node",
			"replicate from the node that writes it; to write it on this node, run 'zfs inherit readonly "+s.Name+"'")
		return
	}
	goal, ok := s.Newest()
	if !ok {
		p.byTarget[item.Target] = item
		item.Action = Skipped
		item.Reason = "it has no snapshot"
		item.Hint = "take one, or run with --snapshot changed"
		return
	}
	item.Goal, item.GoalGUID = goal.Name, goal.GUID

	t := p.locate(item, s)
	p.byTarget[item.Target] = item
	if !p.flags(item, s, t) {
		return
	}
	if t == nil {
		p.full(item, s)
		return
	}
	p.update(item, s, t, goal)
}

// locate finds the dataset on the standby that holds the source's history. It decides
// the item's target name, and a rename where the history has a name that no source
// has any more.
func (p *planner) locate(item *Item, s *zfs.Dataset) *zfs.Dataset {
	// Each node may hold the content of a pool's root in the root or below it.
	if IsRoot(item.Target) {
		pool := zfs.PoolOf(item.Target)
		if t := p.targets[pool]; t != nil && p.common(s, t) != nil {
			item.Target = pool
			return t
		}
	}
	if zfs.Parent(item.Target) == "" {
		if t := p.targets[item.Target]; t != nil && p.common(s, t) != nil {
			return t
		}
		pool := item.Target
		item.Target = pool + "/" + RootName
		p.claimed[item.Target] = true
		item.Contain = p.targets[pool] != nil && !p.targets[pool].Container
	}
	if t := p.targets[item.Target]; t != nil {
		return t
	}
	for _, snap := range slices.Backward(s.Snapshots) {
		t := p.byGUID[snap.GUID]
		if t == nil || snap.GUID == 0 || p.claimed[t.Name] || !p.in.Scope.Allows(t.Name) || zfs.Parent(t.Name) == "" {
			continue
		}
		item.RenameFrom, item.RenameGUID = t.Name, t.GUID
		p.rename(t.Name, item.Target)
		return t
	}
	return nil
}

// rename moves a target and all below it to their new names.
func (p *planner) rename(from, to string) {
	for _, name := range slices.Sorted(maps.Keys(p.targets)) {
		if zfs.Within(name, from) {
			t := p.targets[name]
			delete(p.targets, name)
			t.Name = to + strings.TrimPrefix(name, from)
			p.targets[t.Name] = t
		}
	}
}

// flags decides the send flags. They never change once a replica exists. Encrypted
// datasets are sent raw, so the standby needs no key.
func (p *planner) flags(item *Item, s, t *zfs.Dataset) bool {
	switch {
	case t != nil && t.StreamFlags != "":
		item.Flags = t.StreamFlags
	case s.StreamFlags != "":
		item.Flags = s.StreamFlags
	case !s.Encrypted && p.belowEncrypted(item.Target):
		item.Flags = flagsForEncrypted
	default:
		item.Flags = DefaultFlags
	}
	item.Raw = s.Encrypted
	if s.Encrypted && t != nil && len(t.Snapshots) > 0 && !t.Encrypted {
		item.refuse(Refused, "it is encrypted here, but the copy on the standby is not",
			"raw and plain streams can't be mixed: rename the copy on the standby ('zfs rename'), and the next run sends the dataset again in full")
	}
	return item.Action == ""
}

// belowEncrypted reports whether a dataset with that name inherits encryption on the
// standby.
func (p *planner) belowEncrypted(target string) bool {
	parent := p.targets[zfs.Parent(target)]
	if parent == nil { // not created yet, and then like its own parent
		other := p.byTarget[zfs.Parent(target)]
		return other != nil && other.Flags == flagsForEncrypted
	}
	return parent.Encrypted
}

func (i *Item) refuse(action Action, reason, hint string) {
	i.Action, i.Reason, i.Hint = action, reason, hint
	i.Streams, i.DropToken = nil, false
}

// orphans adds the datasets that only the standby has.
func (p *planner) orphans() {
	taken := map[string]bool{}
	for _, item := range p.plan.Items {
		taken[item.Target] = true
	}
	for _, name := range slices.Sorted(maps.Keys(p.targets)) {
		t := p.targets[name]
		if taken[name] || t.Container || p.claimed[name] || !p.in.Scope.Allows(name) {
			continue
		}
		if zfs.Parent(name) == "" && taken[name+"/"+RootName] {
			continue
		}
		p.plan.Items = append(p.plan.Items, &Item{Target: name, Type: t.Type, Action: Orphan,
			Reason: "no longer on the source; it stays on the standby",
			Hint:   "if you do not need it, destroy it on the standby by hand"})
	}
}
