package plan

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// history makes snapshots a minute apart: r run's, p and d the marks of a
// promotion and a demotion, x somebody else's, b a bookmark of run's.
func history(kinds string) []zfs.Snap {
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	var snaps []zfs.Snap
	for i, kind := range kinds {
		at = at.Add(time.Minute)
		prefix := map[rune]string{'r': "replicate", 'p': "understudy-promoted", 'd': "understudy-demoted", 'x': "understudy-promoted-by-hand", 'b': "replicate"}[kind]
		snaps = append(snaps, zfs.Snap{Name: SnapshotName(prefix, at), GUID: zfs.GUID(i + 1), CreateTXG: uint64(i + 1), Bookmark: kind == 'b'})
	}
	return snaps
}

func TestExpiredMarks(t *testing.T) {
	for _, c := range []struct {
		name      string
		kinds     string
		last      int
		protected []zfs.GUID
		want      string // those that go, by their place
	}{
		{"a newer one is common", "rpdr", 1, []zfs.GUID{4}, "2 3"},
		{"the newest common one is a bookmark here", "rpdbr", 1, []zfs.GUID{4}, "2 3"},
		{"nothing is known to be common", "rpdr", 1, nil, ""},
		{"one standby is not known to have any", "rpdr", 1, []zfs.GUID{4, 0}, ""},
		{"what is common is not here any more", "rpdr", 1, []zfs.GUID{9}, ""},
		{"the mark itself is what is common", "rpdr", 1, []zfs.GUID{3}, "2"},
		{"a standby that is down has an older one", "rprdr", 1, []zfs.GUID{5, 1}, ""},
		{"a tail: not common yet", "rpr", 1, []zfs.GUID{1}, ""},
		{"the last ones go back to it", "rprr", 3, []zfs.GUID{4}, ""},
		{"and do not any more", "rprrr", 3, []zfs.GUID{5}, "2"},
		{"nothing is kept by number", "rpr", 0, []zfs.GUID{3}, "2"},
		{"somebody else's", "rxr", 1, []zfs.GUID{3}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			protected := map[zfs.GUID]bool{}
			for _, guid := range c.protected {
				protected[guid] = true
			}
			var got []string
			for _, snap := range expiredMarks(history(c.kinds), "replicate", config.Keep{Last: c.last}, protected) {
				got = append(got, string(rune('0'+snap.GUID)))
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("gone are %q, want %q", text, c.want)
			}
		})
	}
}

// Whatever goes, the newest that is common with each of the standbys stays, and
// nothing goes that is newer than any of them.
func TestExpiredMarksProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snaps := history(rapid.StringMatching(`[rpdxb]{0,30}`).Draw(t, "history"))
		protected := map[zfs.GUID]bool{}
		for _, guid := range rapid.SliceOfN(rapid.Uint64Range(0, 32), 0, 3).Draw(t, "protected") {
			protected[zfs.GUID(guid)] = true
		}
		oldest := zfs.GUID(0)
		if len(protected) > 0 {
			oldest = slices.Min(slices.Collect(maps.Keys(protected)))
		}
		for _, snap := range expiredMarks(snaps, "replicate", config.Keep{Last: rapid.IntRange(0, 4).Draw(t, "last")}, protected) {
			if protected[snap.GUID] || snap.GUID >= oldest || !strings.Contains(snap.Name, "ed-2") || strings.Contains(snap.Name, "hand") || snap.Bookmark {
				t.Fatalf("%+v was given up", snap)
			}
		}
	})
}
