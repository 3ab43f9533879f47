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
		return "nothing was changed there; if that copy may go aside, run 'zfs-replicate rejoin' on the standby: it keeps it, and this one is sent anew"
	}
	return fmt.Sprintf("nothing was changed there; if that copy may go aside, run 'zfs rename %s %s-aside' on the standby and run again", item.Target, item.Target)
}

func (p *planner) conflictHint(item *Item, t *zfs.Dataset, base *zfs.Snap) string {
	there, _ := t.WithGUID(base.GUID)
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
	for _, snap := range s.OnlySnapshots() {
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

// modified says whether a target was written to since its newest snapshot. A few
// bytes in one that nobody can write to are no writes: rolled back to a snapshot
// that was taken while it was mounted, it has its intent log's head reset. Should
// it be more after all, the receiving ZFS itself refuses, which knows the
// difference (dsl_dataset_modified_since_snap in dsl_dataset.c), and a rejoin there
// finds it.
func (p *planner) modified(t *zfs.Dataset) bool {
	return p.in.Touched[t.GUID] || t.Written > zfs.LogReset || t.Written > 0 && (!t.ReadOnly || t.Mounted)
}

// divergence says what the target has that the source has not, or "".
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

// resume plans the rest of a stream that broke off. It returns the snapshot
// that will be there afterwards, or nil when the token does not fit.
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
	item.Reason = "a stream broke off"
	item.Streams = append(item.Streams, Stream{To: to.Full(s.Name), ToGUID: to.GUID, Token: t.ResumeToken, Received: token.Bytes})
	return &to
}

// isOrigin says whether guid is that of the snapshot that s is a clone of.
func (p *planner) isOrigin(s *zfs.Dataset, guid zfs.GUID) bool {
	origin := p.sources[zfs.DatasetOf(s.Origin)]
	if origin == nil {
		return false
	}
	snap, found := origin.WithGUID(guid)
	return found && snap.Full(origin.Name) == s.Origin
}

// catchUp adds the streams from base, which is on the standby by then, to the
// newest snapshot. A bookmark can be the base of one increment only.
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

// common is the newest snapshot or bookmark of s that t has as a snapshot.
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
			best = snap // go on: the snapshot itself may be there too
		}
	}
	return best
}
