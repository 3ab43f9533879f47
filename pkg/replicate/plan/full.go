package plan

import (
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// full plans a target that does not exist: the oldest snapshot, then all newer ones.
func (p *planner) full(item *Item, s *zfs.Dataset) {
	if !p.parentFits(item) {
		return
	}
	item.Action = Full
	first := s.OnlySnapshots()[0]
	stream := Stream{To: first.Full(s.Name), ToGUID: first.GUID}
	item.Reason = "not on the standby yet"
	if s.Origin != "" {
		if origin, needs, ok := p.origin(s.Origin); ok {
			stream.From, stream.Origin = s.Origin, origin
			item.Needs = append(item.Needs, needs)
			item.Reason = "a clone; not on the standby yet"
		} else {
			item.Reason = "not on the standby yet; its origin " + s.Origin + " is not there either, so it is sent in full"
		}
	}
	item.Streams = append(item.Streams, stream)
	p.catchUp(item, s, first)
}

// parentFits reports whether a new target will have a parent, and adds the items that
// it waits for.
func (p *planner) parentFits(item *Item) bool {
	parent := zfs.Parent(item.Target)
	other, there := p.byTarget[parent], p.targets[parent]
	switch {
	case other != nil && other.Stuck():
		item.refuse(Skipped, "its parent "+other.Source+" is not sent: "+other.Reason, "")
		return false
	case other != nil && (there == nil || len(there.Snapshots) == 0 || other.RenameFrom != ""):
		item.Needs = append(item.Needs, other.Source)
	case there == nil && zfs.Parent(parent) == "":
		item.refuse(Refused, "the standby has no pool "+parent, "create the pool there, or give the dataset a target in another one")
		return false
	case there == nil && other == nil:
		item.refuse(Refused, "its parent "+parent+" is not on the standby", "create it there: zfs create -p -o canmount=off "+parent)
		return false
	}
	return true
}

// ancestorsMove makes a dataset wait for the rename of a dataset above it. It reports
// whether that rename happens.
func (p *planner) ancestorsMove(item *Item) bool {
	for above := zfs.Parent(item.Target); above != ""; above = zfs.Parent(above) {
		other := p.byTarget[above]
		if other == nil || other.RenameFrom == "" {
			continue
		}
		if other.Stuck() {
			item.refuse(Skipped, other.Source+" above it is not renamed on the standby: "+other.Reason, "")
			return false
		}
		item.Needs = append(item.Needs, other.Source)
		return true
	}
	return true
}

// origin finds a clone's origin on the standby: it exists, or this run sends it first.
func (p *planner) origin(full string) (name, needs string, ok bool) {
	source := zfs.DatasetOf(full)
	item, s := p.items[source], p.sources[source]
	if item == nil || s == nil || item.Stuck() {
		return "", "", false
	}
	snap, found := s.Find(func(snap zfs.Snap) bool { return snap.Full(source) == full })
	if !found {
		return "", "", false
	}
	if t := p.targets[item.Target]; t != nil {
		if there, found := t.WithGUID(snap.GUID); found {
			return there.Full(item.Target), source, true
		}
		// This run sends it only if it is newer than the common snapshot.
		base := p.common(s, t)
		if base == nil || base.CreateTXG > snap.CreateTXG {
			return "", "", false
		}
	}
	return snap.Full(item.Target), source, true
}
