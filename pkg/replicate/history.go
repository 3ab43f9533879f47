package replicate

import (
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

func datasetOf(snapshot string) string {
	name, _, _ := strings.Cut(snapshot, "@")
	return name
}

// snapshotPart is the part after the @.
func snapshotPart(full string) string {
	_, name, _ := strings.Cut(full, "@")
	return name
}

// snapshotsOf leaves the bookmarks out.
func snapshotsOf(d *zfs.Dataset) []zfs.Snap {
	snaps := make([]zfs.Snap, 0, len(d.Snapshots))
	for _, snap := range d.Snapshots {
		if !snap.Bookmark {
			snaps = append(snaps, snap)
		}
	}
	return snaps
}

func newestSnapshot(d *zfs.Dataset) (zfs.Snap, bool) {
	for _, snap := range slices.Backward(d.Snapshots) {
		if !snap.Bookmark {
			return snap, true
		}
	}
	return zfs.Snap{}, false
}

func findSnapshot(d *zfs.Dataset, match func(zfs.Snap) bool) (zfs.Snap, bool) {
	for _, snap := range d.Snapshots {
		if !snap.Bookmark && match(snap) {
			return snap, true
		}
	}
	return zfs.Snap{}, false
}
