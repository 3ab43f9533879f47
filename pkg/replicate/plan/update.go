package plan

import (
	"fmt"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

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
	case base == nil && len(t.OnlySnapshots()) == 0 && t.ResumeToken != "":
		// Only the beginning of a first stream, which can't be resumed: dropping it
		// destroys the dataset.
		p.full(item, s)
		item.DropToken = item.Action == Full
		if item.DropToken {
			item.Reason = "the interrupted stream can't be resumed: sent again in full"
		}
		return
	case base == nil:
		item.refuse(Refused, "no common snapshot: "+item.Target+" on the standby has another history", p.noBaseHint(item))
		item.Common = ""
		return
	}
	if reason := p.divergence(t, base); reason != "" {
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
		return "nothing was changed there; run 'zfs-replicate rejoin' on the standby: it preserves that copy, and the next run sends the dataset again in full"
	}
	return fmt.Sprintf("nothing was changed there; if you agree to set that copy aside, run 'zfs rename %s %s-aside' on the standby and run again", item.Target, item.Target)
}

func (p *planner) conflictHint(item *Item, t *zfs.Dataset, base *zfs.Snap) string {
	there, _ := t.WithGUID(base.GUID)
	common := there.Full(item.Target)
	if !p.in.Local {
		return fmt.Sprintf("run 'zfs-replicate rejoin' on the standby ('--dry-run --diff' shows its unreplicated changes): it preserves them and rolls back to @%s", there.Name)
	}
	look := fmt.Sprintf("list the changes on the standby ('zfs diff %s %s'), copy those you need", common, item.Target)
	if item.Type == zfs.Volume {
		look = "copy the data you need on the standby"
	}
	return fmt.Sprintf("%s, then run 'zfs rollback -r %s' there; or set the dataset aside with 'zfs rename'", look, common)
}

// lacks describes the source's snapshots that the target does not have.
func lacks(s *zfs.Dataset, base *zfs.Snap) string {
	n := 0
	for _, snap := range s.OnlySnapshots() {
		if snap.CreateTXG > base.CreateTXG {
			n++
		}
	}
	switch n {
	case 0:
		return "; it lacks no snapshot of the source"
	case 1:
		return fmt.Sprintf("; it lacks one snapshot of the source, since @%s", base.Name)
	}
	return fmt.Sprintf("; it lacks %d snapshots of the source, since @%s", n, base.Name)
}

// modified reports whether a target was written to since its newest snapshot. A few
// bytes in a dataset that nobody can write to are no writes. They are the head of its
// intent log, which a rollback to a snapshot of a mounted dataset resets. If they are writes after
// all, the receiving ZFS refuses the stream: it knows the difference
// (dsl_dataset_modified_since_snap in dsl_dataset.c). Then a rejoin there finds them.
func (p *planner) modified(t *zfs.Dataset) bool {
	return p.in.Touched[t.GUID] || t.Written > zfs.LogReset || t.Written > 0 && (!t.ReadOnly || t.Mounted)
}

// divergence describes the target's unreplicated changes, or is "".
func (p *planner) divergence(t *zfs.Dataset, base *zfs.Snap) string {
	there, _ := t.WithGUID(base.GUID)
	var newer []string
	for _, snap := range t.OnlySnapshots() {
		if snap.CreateTXG > there.CreateTXG {
			newer = append(newer, "@"+snap.Name)
		}
	}
	switch {
	case len(newer) == 1:
		return "the standby has a snapshot of its own: " + newer[0]
	case len(newer) > 1:
		return fmt.Sprintf("the standby has %d snapshots of its own: %s to %s", len(newer), newer[0], newer[len(newer)-1])
	case p.modified(t):
		return fmt.Sprintf("it was written to on the standby (%d bytes since @%s)", t.Written, there.Name)
	}
	return ""
}

// resume plans the rest of an interrupted stream. It returns the snapshot with which
// the stream ends, or nil if the token does not fit.
func (p *planner) resume(item *Item, s, t *zfs.Dataset, base *zfs.Snap) *zfs.Snap {
	token, ok := p.in.Tokens[t.ResumeToken]
	if t.ResumeToken == "" || !ok || p.modified(t) && len(t.OnlySnapshots()) > 0 {
		return nil
	}
	to, found := s.WithGUID(token.ToGUID)
	if !found || to.Full(s.Name) != token.ToName {
		return nil
	}
	if newest, any := t.Newest(); any {
		if newest.GUID != token.FromGUID || base == nil {
			return nil
		}
	} else if token.FromGUID != 0 && !p.isOrigin(s, token.FromGUID) {
		return nil
	}
	item.Action = Resume
	item.Reason = "a stream was interrupted"
	item.Streams = append(item.Streams, Stream{To: to.Full(s.Name), ToGUID: to.GUID, Token: t.ResumeToken, Received: token.Bytes})
	return &to
}

// isOrigin reports whether s is a clone of the snapshot with a guid.
func (p *planner) isOrigin(s *zfs.Dataset, guid zfs.GUID) bool {
	origin := p.sources[zfs.DatasetOf(s.Origin)]
	if origin == nil {
		return false
	}
	snap, found := origin.WithGUID(guid)
	return found && snap.Full(origin.Name) == s.Origin
}

// catchUp adds the streams from base, which the standby has by then, to the newest
// snapshot. A bookmark can be the base of one increment only.
func (p *planner) catchUp(item *Item, s *zfs.Dataset, base zfs.Snap) {
	var newer []zfs.Snap
	for _, snap := range s.OnlySnapshots() {
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

// common returns the newest snapshot or bookmark of s that t has as a snapshot.
func (p *planner) common(s, t *zfs.Dataset) *zfs.Snap {
	there := make(map[zfs.GUID]bool, len(t.Snapshots))
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
			best = snap // continue: the snapshot itself may exist too
		}
	}
	return best
}
