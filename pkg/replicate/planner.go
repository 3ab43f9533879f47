package replicate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

type planner struct {
	in       PlanInput
	plan     Plan
	sources  map[string]*zfs.Dataset
	targets  map[string]*zfs.Dataset // by the names they have once the renames are done
	byGUID   map[uint64]*zfs.Dataset // which target holds a snapshot
	claimed  map[string]bool         // names on the standby that sources want
	items    map[string]*Item        // by source
	byTarget map[string]*Item
	visited  map[string]bool
}

func newPlanner(in PlanInput) *planner {
	p := &planner{
		in:      in,
		sources: map[string]*zfs.Dataset{}, targets: map[string]*zfs.Dataset{},
		byGUID: map[uint64]*zfs.Dataset{}, claimed: map[string]bool{},
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
func (p *planner) item(name string) *Item {
	if p.visited[name] {
		return p.items[name]
	}
	p.visited[name] = true
	s := p.sources[name]
	target, inScope := p.in.Scope.Target(name)
	if s == nil || !inScope {
		return nil
	}
	p.item(zfs.Parent(name))
	if s.Origin != "" {
		p.item(datasetOf(s.Origin))
	}
	item := &Item{Source: name, Target: target, Type: s.Type}
	p.items[name] = item
	p.fill(item, s)
	return item
}

func (p *planner) fill(item *Item, s *zfs.Dataset) {
	if s.Container {
		item.Action = Container
		item.Reason = "a pool's own root; what it stands for lies in " + s.Name + "/" + rootName
		return
	}
	if s.Replica() {
		p.byTarget[item.Target] = item
		item.refuse(Refused, "it is a replica here: read-only, and received from another node",
			"replicate from the node on which it is written to; if that is to be this one, make it writable with 'zfs inherit readonly "+s.Name+"'")
		return
	}
	goal, ok := newestSnapshot(s)
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

// locate finds the dataset on the standby that holds the source's history. It
// settles the item's target name, and a rename when the history lies under a
// name that no source has any more.
func (p *planner) locate(item *Item, s *zfs.Dataset) *zfs.Dataset {
	// The content of a pool's root may lie in a pool's root or below it, on
	// either side.
	if isRoot(item.Target) {
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
		item.Target = pool + "/" + rootName
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

// flags settles the send flags. Once a replica exists they never change, and
// encrypted datasets go raw, so that the standby needs no key.
func (p *planner) flags(item *Item, s, t *zfs.Dataset) bool {
	switch {
	case t != nil && t.StreamFlags != "":
		item.Flags = t.StreamFlags
	case s.StreamFlags != "":
		item.Flags = s.StreamFlags
	case !s.Encrypted && p.belowEncrypted(item.Target):
		item.Flags = flagsForEncrypted
	default:
		item.Flags = defaultFlags
	}
	item.Raw = s.Encrypted
	if s.Encrypted && t != nil && len(t.Snapshots) > 0 && !t.Encrypted {
		item.refuse(Refused, "it is encrypted here, but the copy on the standby is not",
			"raw and plain streams can't be mixed: set that copy aside ('zfs rename') and let it be sent anew")
	}
	return item.Action == ""
}

// belowEncrypted says whether a dataset of that name would be encrypted on the
// standby, by its parent.
func (p *planner) belowEncrypted(target string) bool {
	parent := p.targets[zfs.Parent(target)]
	if parent == nil { // yet to be made, and then as its own parent is
		other := p.byTarget[zfs.Parent(target)]
		return other != nil && other.Flags == flagsForEncrypted
	}
	return parent.Encrypted
}

func (i *Item) refuse(action Action, reason, hint string) {
	i.Action, i.Reason, i.Hint = action, reason, hint
	i.Streams, i.DropToken = nil, false
}

// full plans a target that does not exist: the oldest snapshot, then all up to
// the newest.
func (p *planner) full(item *Item, s *zfs.Dataset) {
	if !p.parentFits(item) {
		return
	}
	item.Action = Full
	first := snapshotsOf(s)[0]
	stream := Stream{To: first.Full(s.Name), ToGUID: first.GUID}
	item.Reason = "not on the standby yet"
	if s.Origin != "" {
		if origin, needs, ok := p.origin(s.Origin); ok {
			stream.From, stream.Origin = s.Origin, origin
			item.Needs = append(item.Needs, needs)
			item.Reason = "a clone; not on the standby yet"
		} else {
			item.Reason = "not on the standby yet; a clone of " + s.Origin + ", which is not there, so everything is sent"
		}
	}
	item.Streams = append(item.Streams, stream)
	p.catchUp(item, s, first)
}

// parentFits sees that a new target will have a parent, and adds what it
// waits for.
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

// ancestorsMove sees to it that a dataset which gets its name by the rename of
// one above it waits for that rename.
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

// origin finds a clone's origin on the standby: there already, or sent earlier
// in this run.
func (p *planner) origin(full string) (name, needs string, ok bool) {
	source := datasetOf(full)
	item, s := p.items[source], p.sources[source]
	if item == nil || s == nil || item.Stuck() {
		return "", "", false
	}
	snap, found := findSnapshot(s, func(snap zfs.Snap) bool { return snap.Full(source) == full })
	if !found {
		return "", "", false
	}
	if t := p.targets[item.Target]; t != nil {
		if there, found := findSnapshot(t, func(c zfs.Snap) bool { return c.GUID == snap.GUID }); found {
			return there.Full(item.Target), source, true
		}
		// It comes along only if it is newer than the common snapshot.
		base := p.common(s, t)
		if base == nil || base.CreateTXG > snap.CreateTXG {
			return "", "", false
		}
	}
	return snap.Full(item.Target), source, true
}

// update plans a target that exists.
func (p *planner) update(item *Item, s, t *zfs.Dataset, goal zfs.Snap) {
	if item.RenameFrom != "" && !p.parentFits(item) || !p.ancestorsMove(item) {
		return
	}
	base := p.common(s, t)
	if base != nil {
		item.Common, item.CommonGUID = base.Name, base.GUID
	}
	resumed := p.resume(item, s, t, base)
	switch {
	case resumed != nil:
		p.catchUp(item, s, *resumed)
		return
	case base == nil && len(snapshotsOf(t)) == 0 && t.ResumeToken != "":
		// Only the beginning of a first stream, which is of no use: dropping
		// it takes the dataset away.
		p.full(item, s)
		item.DropToken = item.Action == Full
		if item.DropToken {
			item.Reason = "the stream that broke off can't be resumed: sent anew"
		}
		return
	case base == nil:
		item.refuse(Refused, "no common snapshot: "+item.Target+" on the standby has another history", p.noBaseHint(item))
		item.Common = ""
		return
	}
	if reason := divergence(t, base); reason != "" {
		item.refuse(Conflict, reason+lacks(s, base), p.conflictHint(item, t, base))
		return
	}
	if base.CreateTXG >= goal.CreateTXG { // newer: a bookmark, whose snapshot is gone here
		item.Action = Current
		item.DropToken = t.ResumeToken != ""
		return
	}
	item.Action = Incremental
	item.DropToken = t.ResumeToken != ""
	p.catchUp(item, s, *base)
}

func (p *planner) noBaseHint(item *Item) string {
	if !p.in.Local {
		return "nothing was changed there; if that copy may go aside, run 'zfs-replicate rejoin' on the standby: it keeps it, and this one is sent anew"
	}
	return fmt.Sprintf("nothing was changed there; if that copy may go aside, run 'zfs rename %s %s-aside' on the standby and run again", item.Target, item.Target)
}

func (p *planner) conflictHint(item *Item, t *zfs.Dataset, base *zfs.Snap) string {
	there, _ := findSnapshot(t, func(c zfs.Snap) bool { return c.GUID == base.GUID })
	common := there.Full(item.Target)
	if !p.in.Local {
		return fmt.Sprintf("run 'zfs-replicate rejoin' on the standby ('--dry-run --diff' shows what is only there): it keeps that, and goes back to @%s", there.Name)
	}
	look := fmt.Sprintf("see on the standby what changed ('zfs diff %s %s'), copy what matters", common, item.Target)
	if item.Type == zfs.Volume {
		look = "copy on the standby what matters"
	}
	return fmt.Sprintf("%s, then 'zfs rollback -r %s' there; or set it aside with 'zfs rename'", look, common)
}

// lacks says what the source has that is not on the target.
func lacks(s *zfs.Dataset, base *zfs.Snap) string {
	n := 0
	for _, snap := range snapshotsOf(s) {
		if snap.CreateTXG > base.CreateTXG {
			n++
		}
	}
	switch n {
	case 0:
		return "; nothing here is missing there"
	case 1:
		return fmt.Sprintf("; one snapshot here, since @%s, is not there", base.Name)
	}
	return fmt.Sprintf("; %d snapshots here, since @%s, are not there", n, base.Name)
}

// logReset is the most that ZFS counts as written, in bytes, when only the head of
// the intent log was reset: the block that describes a dataset, with its copies.
const logReset = 16 << 10

// modified says whether a target was written to since its newest snapshot. A few
// bytes in one that nobody can write to are no writes: rolled back to a snapshot
// that was taken while it was mounted, it has its intent log's head reset. Should
// it be more after all, the receiving ZFS itself refuses, which knows the
// difference (dsl_dataset_modified_since_snap in dsl_dataset.c).
func modified(t *zfs.Dataset) bool {
	return t.Written > logReset || t.Written > 0 && (!t.ReadOnly || t.Mounted)
}

// divergence says what the target has that the source has not, or "".
func divergence(t *zfs.Dataset, base *zfs.Snap) string {
	there, _ := findSnapshot(t, func(c zfs.Snap) bool { return c.GUID == base.GUID })
	var newer []string
	for _, snap := range snapshotsOf(t) {
		if snap.CreateTXG > there.CreateTXG {
			newer = append(newer, "@"+snap.Name)
		}
	}
	switch {
	case len(newer) == 1:
		return "the standby has a snapshot of its own: " + newer[0]
	case len(newer) > 1:
		return fmt.Sprintf("the standby has %d snapshots of its own: %s to %s", len(newer), newer[0], newer[len(newer)-1])
	case modified(t):
		return fmt.Sprintf("it was written to on the standby (%d bytes since @%s)", t.Written, there.Name)
	}
	return ""
}

// resume plans the rest of a stream that broke off. It returns the snapshot
// that will be there afterwards, or nil when the token does not fit.
func (p *planner) resume(item *Item, s, t *zfs.Dataset, base *zfs.Snap) *zfs.Snap {
	token, ok := p.in.Tokens[t.ResumeToken]
	if t.ResumeToken == "" || !ok || modified(t) && len(snapshotsOf(t)) > 0 {
		return nil
	}
	to, found := findSnapshot(s, func(c zfs.Snap) bool { return c.GUID == token.ToGUID })
	if !found || to.Full(s.Name) != token.ToName {
		return nil
	}
	if newest, any := newestSnapshot(t); any {
		if newest.GUID != token.FromGUID || base == nil {
			return nil
		}
	} else if token.FromGUID != 0 && !p.isOrigin(s, token.FromGUID) {
		return nil
	}
	item.Action = Resume
	item.Reason = "a stream broke off"
	item.Streams = append(item.Streams, Stream{To: to.Full(s.Name), ToGUID: to.GUID, Token: t.ResumeToken, Received: token.Bytes})
	return &to
}

// isOrigin says whether guid is that of the snapshot that s is a clone of.
func (p *planner) isOrigin(s *zfs.Dataset, guid uint64) bool {
	origin := p.sources[datasetOf(s.Origin)]
	if origin == nil {
		return false
	}
	snap, found := findSnapshot(origin, func(c zfs.Snap) bool { return c.GUID == guid })
	return found && snap.Full(origin.Name) == s.Origin
}

// catchUp adds the streams from base, which is on the standby by then, to the
// newest snapshot. A bookmark can be the base of one increment only.
func (p *planner) catchUp(item *Item, s *zfs.Dataset, base zfs.Snap) {
	var newer []zfs.Snap
	for _, snap := range snapshotsOf(s) {
		if snap.CreateTXG > base.CreateTXG {
			newer = append(newer, snap)
		}
	}
	if len(newer) == 0 {
		return
	}
	if base.Bookmark {
		item.Streams = append(item.Streams, Stream{From: base.Full(s.Name), To: newer[0].Full(s.Name), ToGUID: newer[0].GUID})
		base, newer = newer[0], newer[1:]
	}
	if len(newer) > 0 {
		last := newer[len(newer)-1]
		item.Streams = append(item.Streams, Stream{From: base.Full(s.Name), To: last.Full(s.Name), ToGUID: last.GUID, All: len(newer) > 1})
	}
}

// common is the newest snapshot or bookmark of s that t has as a snapshot.
func (p *planner) common(s, t *zfs.Dataset) *zfs.Snap {
	there := make(map[uint64]bool, len(t.Snapshots))
	for _, snap := range t.Snapshots {
		if !snap.Bookmark {
			there[snap.GUID] = true
		}
	}
	var best *zfs.Snap
	for i := len(s.Snapshots) - 1; i >= 0; i-- {
		snap := &s.Snapshots[i]
		if !there[snap.GUID] {
			continue
		}
		if !snap.Bookmark {
			if best == nil || snap.GUID == best.GUID {
				return snap
			}
			return best
		}
		if best == nil {
			best = snap // go on: the snapshot itself may be there too
		}
	}
	return best
}

// orphans adds what only the standby has.
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
		if zfs.Parent(name) == "" && taken[name+"/"+rootName] {
			continue
		}
		p.plan.Items = append(p.plan.Items, &Item{Target: name, Type: t.Type, Action: Orphan,
			Reason: "not on the source any more; kept here",
			Hint:   "if it is not wanted, destroy it on the standby by hand"})
	}
}
