package plan

import (
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// TimeFormat is the second part of the names of run's snapshots, in UTC.
const TimeFormat = "20060102T150405Z"

// SnapshotName returns the name of a snapshot that run takes.
func SnapshotName(prefix string, at time.Time) string {
	return prefix + "-" + at.UTC().Format(TimeFormat)
}

// SnapshotTime reads the time from a snapshot's name and reports whether run took the
// snapshot. It uses the name because ZFS lists the creation times of thousands of
// snapshots slowly.
func SnapshotTime(prefix, name string) (time.Time, bool) {
	stamp, ok := strings.CutPrefix(name, prefix+"-")
	if !ok {
		return time.Time{}, false
	}
	at, err := time.Parse(TimeFormat, stamp)
	return at, err == nil
}

// Retention decides which snapshots of a dataset stay.
type Retention struct {
	Prefix string // of the names of run's snapshots
	Keep   config.Keep
}

// Expired returns the snapshots and the bookmarks that may go, oldest snapshots first.
// protected are the guids that stay in any case.
func (r Retention) Expired(snaps []zfs.Snap, protected map[zfs.GUID]bool) (snapshots, bookmarks []zfs.Snap) {
	snapshots = slices.Concat(expired(snaps, r.Prefix, r.Keep, protected), expiredMarks(snaps, r.Prefix, r.Keep, protected))
	return snapshots, expiredBookmarks(snaps, r.Prefix, protected)
}

// expired returns the snapshots that the retention lets expire, oldest first. It
// counts only run's snapshots. Three kinds never expire: protected ones (by guid), the
// dataset's newest snapshot, and those with clones.
func expired(snaps []zfs.Snap, prefix string, keep config.Keep, protected map[zfs.GUID]bool) []zfs.Snap {
	type dated struct {
		zfs.Snap
		at time.Time
	}
	var ours []dated // run's, newest first
	newest := -1
	for i, snap := range slices.Backward(snaps) {
		if snap.Bookmark {
			continue
		}
		if newest < 0 {
			newest = i
		}
		if at, ok := SnapshotTime(prefix, snap.Name); ok {
			ours = append(ours, dated{snap, at})
		}
	}
	kept := map[zfs.GUID]bool{}
	for i := range min(keep.Last, len(ours)) {
		kept[ours[i].GUID] = true
	}
	for _, rule := range []struct {
		count  int
		period func(time.Time) string
	}{
		{keep.Hourly, func(t time.Time) string { return t.Format("2006010215") }},
		{keep.Daily, func(t time.Time) string { return t.Format("20060102") }},
		{keep.Weekly, func(t time.Time) string {
			monday := t.AddDate(0, 0, -((int(t.Weekday()) + 6) % 7))
			return monday.Format("20060102")
		}},
		{keep.Monthly, func(t time.Time) string { return t.Format("200601") }},
	} {
		last, periods := "", 0
		for _, snap := range ours {
			period := rule.period(snap.at)
			if period == last {
				continue
			}
			if periods++; periods > rule.count {
				break
			}
			last = period
			kept[snap.GUID] = true
		}
	}
	var gone []zfs.Snap
	for _, snap := range slices.Backward(ours) {
		if kept[snap.GUID] || protected[snap.GUID] || snap.Clones > 0 || snap.GUID == snaps[newest].GUID {
			continue
		}
		gone = append(gone, snap.Snap)
	}
	return gone
}

// marks begin the names of the snapshots that failover-notify takes at a role change:
// of the state at a promotion, and of the last writes at a demotion.
var marks = []string{"understudy-promoted", "understudy-demoted"}

// expiredMarks returns the marks that are no longer needed, oldest first. A mark stays
// as long as the snapshots that Keep.Last retains reach back to it. It also stays while
// it may be the only common snapshot of two nodes, or an unreplicated change. So it
// must be older than a snapshot that each other node is known to have.
func expiredMarks(snaps []zfs.Snap, prefix string, keep config.Keep, protected map[zfs.GUID]bool) []zfs.Snap {
	common, ok := oldestOf(snaps, protected)
	if !ok {
		return nil
	}
	var gone []zfs.Snap
	newer := 0 // of run's snapshots
	for _, snap := range slices.Backward(snaps) {
		if snap.Bookmark {
			continue
		}
		if _, ours := SnapshotTime(prefix, snap.Name); ours {
			newer++
			continue
		}
		mark := slices.ContainsFunc(marks, func(m string) bool { _, is := SnapshotTime(m, snap.Name); return is })
		if mark && newer >= max(1, keep.Last) && snap.CreateTXG < common.CreateTXG && snap.Clones == 0 && !protected[snap.GUID] {
			gone = append(gone, snap)
		}
	}
	slices.Reverse(gone)
	return gone
}

// oldestOf returns the oldest of the snapshots that the other nodes have in common with
// this node. There is none if one node's is unknown, or no longer exists here.
func oldestOf(snaps []zfs.Snap, protected map[zfs.GUID]bool) (oldest zfs.Snap, ok bool) {
	for guid := range protected {
		i := slices.IndexFunc(snaps, func(s zfs.Snap) bool { return guid != 0 && s.GUID == guid })
		if i < 0 {
			return oldest, false
		}
		if !ok || snaps[i].CreateTXG < oldest.CreateTXG {
			oldest, ok = snaps[i], true
		}
	}
	return oldest, ok
}

// keepBookmarks is how many of run's bookmarks stay beside those that are a standby's
// newest common one. They take no space.
const keepBookmarks = 10

// expiredBookmarks returns those of run's bookmarks that are no longer needed.
func expiredBookmarks(snaps []zfs.Snap, prefix string, protected map[zfs.GUID]bool) []zfs.Snap {
	var gone []zfs.Snap
	count := 0
	for _, snap := range slices.Backward(snaps) {
		if !snap.Bookmark || !strings.HasPrefix(snap.Name, prefix+"-") {
			continue
		}
		if count++; count > keepBookmarks && !protected[snap.GUID] {
			gone = append(gone, snap)
		}
	}
	return gone
}
