package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// every makes run's snapshots at a fixed distance, oldest first.
func every(step time.Duration, n int, end time.Time) []zfs.Snap {
	var snaps []zfs.Snap
	for i := range n {
		at := end.Add(-time.Duration(n-1-i) * step)
		snaps = append(snaps, zfs.Snap{Name: SnapshotName("replicate", at), GUID: zfs.GUID(i + 1), CreateTXG: uint64(i + 1)})
	}
	return snaps
}

func left(snaps, gone []zfs.Snap) string {
	dead := map[zfs.GUID]bool{}
	for _, s := range gone {
		dead[s.GUID] = true
	}
	var words []string
	for _, s := range snaps {
		if !dead[s.GUID] {
			words = append(words, fmt.Sprint(s.GUID))
		}
	}
	return strings.Join(words, " ")
}

func TestExpired(t *testing.T) {
	end := time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC) // a Wednesday
	for _, c := range []struct {
		name    string
		snaps   []zfs.Snap
		keep    config.Keep
		protect zfs.GUID
		want    string
	}{
		{"last", every(time.Minute, 6, end), config.Keep{Last: 2}, 0, "5 6"},
		{"fewer than last", every(time.Minute, 2, end), config.Keep{Last: 10}, 0, "1 2"},
		{"protected", every(time.Minute, 6, end), config.Keep{Last: 2}, 1, "1 5 6"},
		{"hourly: the newest of each hour", every(20*time.Minute, 9, end), config.Keep{Last: 1, Hourly: 2}, 0, "7 9"},
		{"daily", every(12*time.Hour, 8, end), config.Keep{Last: 1, Daily: 3}, 0, "4 6 8"},
		{"weekly: weeks begin on Monday", every(24*time.Hour, 15, end), config.Keep{Last: 1, Weekly: 2}, 0, "12 15"},
		{"monthly", every(24*time.Hour, 40, end), config.Keep{Last: 1, Monthly: 2}, 0, "36 40"},
		{"the newest stays, whatever it is called", append(every(time.Minute, 3, end), zfs.Snap{Name: "autosnap_x", GUID: 9, CreateTXG: 9}), config.Keep{Last: 1}, 0, "3 9"},
		{"nothing kept but the newest", every(time.Minute, 3, end), config.Keep{}, 0, "3"},
		{"others' snapshots do not count", []zfs.Snap{{Name: "replicate-by-hand", GUID: 1, CreateTXG: 1}, {Name: "replicated-20260101T000000Z", GUID: 2, CreateTXG: 2}, {Name: SnapshotName("replicate", end), GUID: 3, CreateTXG: 3}, {Name: SnapshotName("replicate", end.Add(time.Second)), GUID: 4, CreateTXG: 4}}, config.Keep{Last: 1}, 0, "1 2 4"},
		{"one that has a clone stays", []zfs.Snap{{Name: SnapshotName("replicate", end), GUID: 1, CreateTXG: 1, Clones: 1}, {Name: SnapshotName("replicate", end.Add(time.Second)), GUID: 2, CreateTXG: 2}}, config.Keep{Last: 1}, 0, "1 2"},
		{"bookmarks are no snapshots", []zfs.Snap{{Name: SnapshotName("replicate", end), GUID: 1, CreateTXG: 1, Bookmark: true}}, config.Keep{}, 0, "1"},
		{"none", nil, config.Keep{Last: 1}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			gone := expired(c.snaps, "replicate", c.keep, map[zfs.GUID]bool{c.protect: true})
			if got := left(c.snaps, gone); got != c.want {
				t.Errorf("left are %q, want %q", got, c.want)
			}
		})
	}
}

// TestExpiredProperty: whatever the retention, the newest snapshot, protected
// ones, cloned ones and those of others stay, and a second pruning finds
// nothing.
func TestExpiredProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var snaps []zfs.Snap
		protected := map[zfs.GUID]bool{}
		for i := range rapid.IntRange(0, 60).Draw(t, "snapshots") {
			at = at.Add(time.Duration(rapid.IntRange(1, 100_000).Draw(t, "seconds")) * time.Second)
			s := zfs.Snap{Name: SnapshotName("replicate", at), GUID: zfs.GUID(i + 1), CreateTXG: uint64(i + 1)}
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				s.Name = "autosnap_" + s.Name
			case 1:
				s.Clones = 1
			case 2:
				protected[s.GUID] = true
			}
			snaps = append(snaps, s)
		}
		number := func(name string) int { return rapid.IntRange(0, 5).Draw(t, name) }
		keep := config.Keep{Last: number("last"), Hourly: number("hourly"), Daily: number("daily"), Weekly: number("weekly"), Monthly: number("monthly")}
		gone := map[zfs.GUID]bool{}
		for _, s := range expired(snaps, "replicate", keep, protected) {
			if protected[s.GUID] || s.Clones > 0 || !strings.HasPrefix(s.Name, "replicate-") || s.GUID == snaps[len(snaps)-1].GUID {
				t.Fatalf("%+v was given up", s)
			}
			gone[s.GUID] = true
		}
		var rest []zfs.Snap
		ours := 0
		for _, s := range snaps {
			if !gone[s.GUID] {
				rest = append(rest, s)
				if strings.HasPrefix(s.Name, "replicate-") {
					ours++
				}
			}
		}
		if ours < min(keep.Last, len(snaps)) && len(gone) > 0 {
			t.Fatalf("%d of ours left, want at least %d", ours, keep.Last)
		}
		if again := expired(rest, "replicate", keep, protected); len(again) > 0 {
			t.Fatalf("a second pruning finds %d more", len(again))
		}
	})
}

func TestExpiredBookmarks(t *testing.T) {
	var snaps []zfs.Snap
	for i := range keepBookmarks + 3 {
		snaps = append(snaps, zfs.Snap{Name: fmt.Sprintf("replicate-%d", i), GUID: zfs.GUID(i + 1), CreateTXG: uint64(i + 1), Bookmark: true})
	}
	snaps = append(snaps, zfs.Snap{Name: "mine", GUID: 99, CreateTXG: 99, Bookmark: true})
	gone := expiredBookmarks(snaps, "replicate", map[zfs.GUID]bool{2: true})
	if len(gone) != 2 || gone[0].GUID != 3 || gone[1].GUID != 1 {
		t.Errorf("given up are %v, want guids 3 and 1", gone)
	}
}

func TestSnapshotName(t *testing.T) {
	at := time.Date(2026, 11, 22, 21, 5, 9, 0, time.FixedZone("CET", 3600))
	name := SnapshotName("replicate", at)
	if name != "replicate-20261122T200509Z" {
		t.Errorf("name is %s", name)
	}
	if back, ok := SnapshotTime("replicate", name); !ok || !back.Equal(at) {
		t.Errorf("read back as %v, %v", back, ok)
	}
}
