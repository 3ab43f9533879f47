package plan

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// dataset makes a dataset of a word for each snapshot, "name:guid" or
// "#name:guid" for a bookmark, oldest first.
func dataset(name, snaps string, change ...func(*zfs.Dataset)) zfs.Dataset {
	d := zfs.Dataset{Name: name, Type: zfs.Filesystem, GUID: zfs.GUID(len(name)) * 1000003, Mountpoint: "/" + name}
	for i, word := range strings.Fields(snaps) {
		snapName, guid, _ := strings.Cut(word, ":")
		n, err := strconv.ParseUint(guid, 10, 64)
		if err != nil {
			panic(err)
		}
		d.Snapshots = append(d.Snapshots, zfs.Snap{Name: strings.TrimPrefix(snapName, "#"), GUID: zfs.GUID(n), CreateTXG: uint64(10 * (i + 1)), Bookmark: snapName[0] == '#'})
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

func written(d *zfs.Dataset)                   { d.Written = 4096 }
func encrypted(d *zfs.Dataset)                 { d.Encrypted = true }
func volume(d *zfs.Dataset)                    { d.Type = zfs.Volume }
func container(d *zfs.Dataset)                 { d.Container = true }
func replica(d *zfs.Dataset)                   { d.ReadOnly, d.StreamFlags = true, "Lce" }
func token(t string) func(*zfs.Dataset)        { return func(d *zfs.Dataset) { d.ResumeToken = t } }
func flagged(f string) func(*zfs.Dataset)      { return func(d *zfs.Dataset) { d.StreamFlags = f } }
func cloneOf(origin string) func(*zfs.Dataset) { return func(d *zfs.Dataset) { d.Origin = origin } }

// line is a short form of an item, for comparison: what happens, where, by
// which streams.
func line(i *Item) string {
	s := string(i.Action)
	if i.Source != "" {
		s += " " + i.Source
	}
	if i.Target != i.Source {
		s += " -> " + i.Target
	}
	if i.RenameFrom != "" {
		s += " (from " + i.RenameFrom + ")"
	}
	if i.DropToken {
		s += " (drop)"
	}
	if i.Raw {
		s += " raw"
	}
	for _, st := range i.Streams {
		base := func(full string) string { return full[strings.IndexAny(full, "@#"):] }
		switch {
		case st.Token != "":
			s += "; resume " + base(st.To)
		case st.Origin != "":
			s += "; clone " + st.From + " as " + st.Origin + " " + base(st.To)
		case st.From == "":
			s += "; full " + base(st.To)
		case st.All:
			s += "; " + base(st.From) + ".." + base(st.To)
		default:
			s += "; " + base(st.From) + "+" + base(st.To)
		}
	}
	if len(i.Needs) > 0 {
		s += " needs " + strings.Join(i.Needs, ",")
	}
	return s
}

var tank = Scope{{Name: "tank/data", Recursive: true}}

func TestPlan(t *testing.T) {
	type list []zfs.Dataset
	for _, c := range []struct {
		name           string
		scope          Scope
		source, target list
		noParent       bool
		tokens         map[string]zfs.Token
		want           string
	}{
		{name: "current", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "a:1 b:2")},
			want: "current tank/data"},
		{name: "a volume", source: list{dataset("tank/data", "a:1 b:2", volume)}, target: list{dataset("tank/data", "a:1", volume)},
			want: "incremental tank/data; @a+@b"},
		{name: "names do not matter, guids do", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "x:1 y:2")},
			want: "current tank/data"},
		{name: "same name, another guid", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "a:1 b:3")},
			want: "conflict tank/data"},
		{name: "one increment", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "a:1")},
			want: "incremental tank/data; @a+@b"},
		{name: "the newest here is older than what is there", source: list{dataset("tank/data", "a:1 #b:2")}, target: list{dataset("tank/data", "a:1 b:2")},
			want: "current tank/data"},
		{name: "a replica is not sent on", source: list{dataset("tank/data", "a:1 b:2", replica), dataset("tank/data/x", "a:3 b:4", replica)}, target: list{dataset("tank/data", "a:1")},
			want: "refused tank/data | refused tank/data/x"},
		{name: "several increments", source: list{dataset("tank/data", "a:1 b:2 c:3 d:4")}, target: list{dataset("tank/data", "a:1 b:2")},
			want: "incremental tank/data; @b..@d"},
		{name: "from a bookmark", source: list{dataset("tank/data", "#a:1 b:2")}, target: list{dataset("tank/data", "a:1")},
			want: "incremental tank/data; #a+@b"},
		{name: "from a bookmark, then the rest", source: list{dataset("tank/data", "#a:1 b:2 c:3 d:4")}, target: list{dataset("tank/data", "a:1")},
			want: "incremental tank/data; #a+@b; @b..@d"},
		{name: "the snapshot is preferred to its bookmark", source: list{dataset("tank/data", "a:1 #a:1 b:2")}, target: list{dataset("tank/data", "a:1")},
			want: "incremental tank/data; @a+@b"},
		{name: "a newer bookmark is preferred to an older snapshot", source: list{dataset("tank/data", "a:1 #b:2 c:3")}, target: list{dataset("tank/data", "a:1 b:2")},
			want: "incremental tank/data; #b+@c"},
		{name: "full", source: list{dataset("tank/data", "a:1")},
			want: "full tank/data; full @a"},
		{name: "full with history", source: list{dataset("tank/data", "a:1 b:2 c:3")},
			want: "full tank/data; full @a; @a..@c"},
		{name: "full, then children", source: list{dataset("tank/data", "a:1"), dataset("tank/data/x", "a:2"), dataset("tank/data/x/y", "a:3")},
			want: "full tank/data; full @a | full tank/data/x; full @a needs tank/data | full tank/data/x/y; full @a needs tank/data/x"},
		{name: "a new child of a known parent waits for nobody", source: list{dataset("tank/data", "a:1"), dataset("tank/data/x", "a:2")}, target: list{dataset("tank/data", "a:1")},
			want: "current tank/data | full tank/data/x; full @a"},
		{name: "no snapshot", source: list{dataset("tank/data", "")}, target: list{dataset("tank/data", "a:1")},
			want: "skipped tank/data"},
		{name: "only bookmarks", source: list{dataset("tank/data", "#a:1")}, target: list{dataset("tank/data", "a:1")},
			want: "skipped tank/data"},
		{name: "no common base", source: list{dataset("tank/data", "a:1")}, target: list{dataset("tank/data", "z:9")},
			want: "refused tank/data"},
		{name: "an empty dataset of that name", source: list{dataset("tank/data", "a:1")}, target: list{dataset("tank/data", "")},
			want: "refused tank/data"},
		{name: "written to on the standby", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "a:1", written)},
			want: "conflict tank/data"},
		{name: "written to, though nothing is to be sent", source: list{dataset("tank/data", "a:1")}, target: list{dataset("tank/data", "a:1", written)},
			want: "conflict tank/data"},
		{name: "snapshots of its own on the standby", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "a:1 z:9")},
			want: "conflict tank/data"},
		{name: "older snapshots of its own on the standby", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "old:8 z:9 a:1")},
			want: "incremental tank/data; @a+@b"},
		{name: "renamed", source: list{dataset("tank/data", "a:1"), dataset("tank/data/new", "a:2 b:3")},
			target: list{dataset("tank/data", "a:1"), dataset("tank/data/old", "a:2")},
			want:   "current tank/data | incremental tank/data/new (from tank/data/old); @a+@b"},
		{name: "renamed with children", source: list{dataset("tank/data", "a:1"), dataset("tank/data/new", "a:2"), dataset("tank/data/new/x", "a:3 b:4")},
			target: list{dataset("tank/data", "a:1"), dataset("tank/data/old", "a:2"), dataset("tank/data/old/x", "a:3")},
			want:   "current tank/data | current tank/data/new (from tank/data/old) | incremental tank/data/new/x; @a+@b needs tank/data/new"},
		{name: "moved below a new parent", source: list{dataset("tank/data", "a:1"), dataset("tank/data/p", "a:2"), dataset("tank/data/p/x", "a:3")},
			target: list{dataset("tank/data", "a:1"), dataset("tank/data/x", "a:3")},
			want:   "current tank/data | full tank/data/p; full @a | current tank/data/p/x (from tank/data/x) needs tank/data/p"},
		{name: "not renamed: its old name is another dataset now", source: list{dataset("tank/data", "a:1"), dataset("tank/data/new", "a:2"), dataset("tank/data/old", "z:7")},
			target: list{dataset("tank/data", "a:1"), dataset("tank/data/old", "a:2")},
			want:   "current tank/data | full tank/data/new; full @a | refused tank/data/old"},
		{name: "gone on the source", source: list{dataset("tank/data", "a:1")},
			target: list{dataset("tank/data", "a:1"), dataset("tank/data/gone", "a:2")},
			want:   "current tank/data | orphan -> tank/data/gone"},
		{name: "child of a parent that is refused", source: list{dataset("tank/data", "a:1"), dataset("tank/data/p", "a:2"), dataset("tank/data/p/x", "a:3"), dataset("tank/data/p/y", "a:4 b:5")},
			target: list{dataset("tank/data", "a:1"), dataset("tank/data/p", "z:9"), dataset("tank/data/p/y", "a:4")},
			want:   "current tank/data | refused tank/data/p | skipped tank/data/p/x | incremental tank/data/p/y; @a+@b"},
		{name: "child of a parent without snapshots", source: list{dataset("tank/data", ""), dataset("tank/data/x", "a:3")},
			want: "skipped tank/data | skipped tank/data/x"},
		{name: "excluded", scope: Scope{{Name: "tank/data", Recursive: true, Exclude: []string{"tank/data/tmp"}}},
			source: list{dataset("tank/data", "a:1"), dataset("tank/data/tmp", "a:2"), dataset("tank/data/tmp/x", "a:3")}, target: list{dataset("tank/data", "a:1"), dataset("tank/data/tmp", "a:9")},
			want: "current tank/data"},
		{name: "another name on the standby", scope: Scope{{Name: "tank/data", Recursive: true, Target: "backup/a"}},
			source: list{dataset("tank/data", "a:1 b:2"), dataset("tank/data/x", "a:3")}, target: list{dataset("backup/a", "a:1")},
			want: "incremental tank/data -> backup/a; @a+@b | full tank/data/x -> backup/a/x; full @a"},

		{name: "encrypted goes raw", source: list{dataset("tank/data", "a:1", encrypted)},
			want: "full tank/data raw; full @a"},
		{name: "encrypted here, plain there", source: list{dataset("tank/data", "a:1 b:2", encrypted)}, target: list{dataset("tank/data", "a:1")},
			want: "refused tank/data raw"},
		{name: "a plain child of an encrypted parent there", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "a:1", encrypted)},
			want: "incremental tank/data; @a+@b"},

		{name: "clone", source: list{dataset("tank/data", "a:1"), dataset("tank/data/c", "k:5", cloneOf("tank/data/o@a")), dataset("tank/data/o", "a:2 b:3")},
			target: list{dataset("tank/data", "a:1")},
			want:   "current tank/data | full tank/data/c; clone tank/data/o@a as tank/data/o@a @k needs tank/data/o | full tank/data/o; full @a; @a+@b"},
		{name: "clone of a snapshot that is there under another name", source: list{dataset("tank/data", "a:1"), dataset("tank/data/c", "k:5 l:6", cloneOf("tank/data/o@a")), dataset("tank/data/o", "a:2 b:3")},
			target: list{dataset("tank/data", "a:1"), dataset("tank/data/o", "x:2 y:3")},
			want:   "current tank/data | full tank/data/c; clone tank/data/o@a as tank/data/o@x @k; @k+@l needs tank/data/o | current tank/data/o"},
		{name: "clone of a snapshot that is gone there", source: list{dataset("tank/data", "a:1"), dataset("tank/data/c", "k:5", cloneOf("tank/data/o@a")), dataset("tank/data/o", "a:2 b:3")},
			target: list{dataset("tank/data", "a:1"), dataset("tank/data/o", "b:3")},
			want:   "current tank/data | full tank/data/c; full @k | current tank/data/o"},
		{name: "clone of a dataset that is not replicated", source: list{dataset("tank/data", "k:5", cloneOf("tank/other@a"))},
			want: "full tank/data; full @k"},

		{name: "resume the first stream, then catch up", source: list{dataset("tank/data", "a:1 b:2 c:3")}, target: list{dataset("tank/data", "", token("T"))},
			tokens: map[string]zfs.Token{"T": {ToName: "tank/data@a", ToGUID: 1}},
			want:   "resume tank/data; resume @a; @a..@c"},
		{name: "resume an increment, then catch up", source: list{dataset("tank/data", "a:1 b:2 c:3")}, target: list{dataset("tank/data", "a:1", token("T"))},
			tokens: map[string]zfs.Token{"T": {ToName: "tank/data@b", ToGUID: 2, FromGUID: 1}},
			want:   "resume tank/data; resume @b; @b+@c"},
		{name: "resume the newest", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "a:1", token("T"))},
			tokens: map[string]zfs.Token{"T": {ToName: "tank/data@b", ToGUID: 2, FromGUID: 1}},
			want:   "resume tank/data; resume @b"},
		{name: "token of a snapshot that is gone", source: list{dataset("tank/data", "a:1 c:3")}, target: list{dataset("tank/data", "a:1", token("T"))},
			tokens: map[string]zfs.Token{"T": {ToName: "tank/data@b", ToGUID: 2, FromGUID: 1}},
			want:   "incremental tank/data (drop); @a+@c"},
		{name: "token of a first stream that is stale", source: list{dataset("tank/data", "b:2")}, target: list{dataset("tank/data", "", token("T"))},
			want: "full tank/data (drop); full @b"},
		{name: "token of another dataset", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "a:1", token("T"))},
			tokens: map[string]zfs.Token{"T": {ToName: "tank/other@b", ToGUID: 2, FromGUID: 1}},
			want:   "incremental tank/data (drop); @a+@b"},
		{name: "token of a snapshot of the same name but another guid", source: list{dataset("tank/data", "a:1 b:7")}, target: list{dataset("tank/data", "a:1", token("T"))},
			tokens: map[string]zfs.Token{"T": {ToName: "tank/data@b", ToGUID: 2, FromGUID: 1}},
			want:   "incremental tank/data (drop); @a+@b"},
		{name: "token whose base is not the newest there", source: list{dataset("tank/data", "a:1 b:2 c:3")}, target: list{dataset("tank/data", "a:1 b:2", token("T"))},
			tokens: map[string]zfs.Token{"T": {ToName: "tank/data@c", ToGUID: 3, FromGUID: 1}},
			want:   "incremental tank/data (drop); @b+@c"},
		{name: "token, but written to there", source: list{dataset("tank/data", "a:1 b:2")}, target: list{dataset("tank/data", "a:1", token("T"), written)},
			tokens: map[string]zfs.Token{"T": {ToName: "tank/data@b", ToGUID: 2, FromGUID: 1}},
			want:   "conflict tank/data"},
		{name: "resume a clone", source: list{dataset("tank/data", "k:5", cloneOf("tank/data/o@a")), dataset("tank/data/o", "a:2")},
			target: list{dataset("tank/data", "", token("T")), dataset("tank/data/o", "a:2")},
			tokens: map[string]zfs.Token{"T": {ToName: "tank/data@k", ToGUID: 5, FromGUID: 2}},
			want:   "resume tank/data; resume @k | current tank/data/o"},

		{name: "pool's root, new", scope: Scope{{Name: "tank", Recursive: true}}, source: list{dataset("tank", "a:1"), dataset("tank/x", "a:2")}, target: list{dataset("tank", "")},
			want: "full tank -> tank/understudy-root; full @a | full tank/x; full @a"},
		{name: "pool's root, again", scope: Scope{{Name: "tank", Recursive: true}}, source: list{dataset("tank", "a:1 b:3")}, target: list{dataset("tank", "", container), dataset("tank/understudy-root", "a:1")},
			want: "incremental tank -> tank/understudy-root; @a+@b"},
		{name: "pool's root that was once sent by force", scope: Scope{{Name: "tank", Recursive: true}}, source: list{dataset("tank", "a:1 b:3")}, target: list{dataset("tank", "a:1")},
			want: "incremental tank; @a+@b"},
		{name: "pool's root, the way back", scope: Scope{{Name: "tank", Recursive: true}}, source: list{dataset("tank", "", container), dataset("tank/understudy-root", "a:1 b:3")}, target: list{dataset("tank", "a:1")},
			want: "container tank | incremental tank/understudy-root -> tank; @a+@b"},
		{name: "no such parent", noParent: true, scope: Scope{{Name: "tank/data", Recursive: true, Target: "backup/x/data"}}, source: list{dataset("tank/data", "a:1")},
			want: "refused tank/data -> backup/x/data"},
		{name: "no such pool", scope: Scope{{Name: "tank", Recursive: true}}, source: list{dataset("tank", "a:1"), dataset("tank/x", "a:2")},
			want: "refused tank -> tank/understudy-root | refused tank/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			scope := c.scope
			if scope == nil {
				scope = tank
			}
			target := c.target
			if parent := zfs.Parent(scope[0].TargetName()); parent != "" && !c.noParent {
				target = append(list{dataset(parent, "")}, target...)
			}
			plan := Make(Input{Scope: scope, Source: c.source, Target: target, Tokens: c.tokens})
			var lines []string
			for _, item := range plan.Items {
				lines = append(lines, line(item))
				if item.Stuck() && item.Reason == "" {
					t.Errorf("%s %s gives no reason", item.Action, item.Source)
				}
				if (item.Action == Conflict || item.Action == Refused) && item.Hint == "" {
					t.Errorf("%s %s gives no hint", item.Action, item.Source)
				}
			}
			if got := strings.Join(lines, " | "); got != c.want {
				t.Errorf("plan is\n  %s\nwant\n  %s", got, c.want)
			}
		})
	}
}

// TestPlanBelowEncrypted: what becomes encrypted on the standby is sent without
// embedded data, which OpenZFS refuses there.
func TestPlanBelowEncrypted(t *testing.T) {
	plan := Make(Input{Scope: tank,
		Source: []zfs.Dataset{dataset("tank/data", "a:1"), dataset("tank/data/x", "a:2"), dataset("tank/data/x/raw", "a:3", encrypted)},
		Target: []zfs.Dataset{dataset("tank", "", encrypted)}})
	for i, want := range []string{"Lc", "Lc", "Lce"} {
		if got := plan.Items[i].Flags; got != want {
			t.Errorf("flags of %s are %q, want %q", plan.Items[i].Source, got, want)
		}
	}
}

func TestPlanKeepsFlags(t *testing.T) {
	plan := Make(Input{Scope: tank,
		Source: []zfs.Dataset{dataset("tank/data", "a:1 b:2", flagged("ce"))},
		Target: []zfs.Dataset{dataset("tank/data", "a:1", flagged("L"))}})
	if got := plan.Items[0].Flags; got != "L" {
		t.Errorf("flags are %q, want those that the replica was made with, L", got)
	}
	plan = Make(Input{Scope: tank, Source: []zfs.Dataset{dataset("tank/data", "a:1 b:2", flagged("ce"))}, Target: []zfs.Dataset{dataset("tank", "")}})
	if got := plan.Items[0].Flags; got != "ce" {
		t.Errorf("flags are %q, want those that the source was made with when it was a replica, ce", got)
	}
}

// TestPlanProperty lets a source and a standby live through random histories
// and carries the plan out on a model of OpenZFS's rules. What a plan does
// must be allowed, must reach the newest snapshot unless it says why not, and
// must never take a snapshot away from the standby.
func TestPlanProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		guid, txg := uint64(0), uint64(0)
		source := zfs.Dataset{Name: "tank/data", Type: zfs.Filesystem}
		var target *zfs.Dataset
		targetTXG := uint64(0)
		receive := func(s zfs.Snap) {
			if target == nil {
				target = &zfs.Dataset{Name: "tank/data", Type: zfs.Filesystem}
			}
			targetTXG++
			target.Snapshots = append(target.Snapshots, zfs.Snap{Name: s.Name, GUID: s.GUID, CreateTXG: targetTXG})
		}
		diverged := false
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"snap", "snap", "snap", "drop", "bookmark", "run", "run", "prune", "local"}).Draw(t, "step") {
			case "snap":
				guid, txg = guid+1, txg+1
				source.Snapshots = append(source.Snapshots, zfs.Snap{Name: fmt.Sprint("s", guid), GUID: zfs.GUID(guid), CreateTXG: txg})
			case "drop":
				if n := len(source.Snapshots); n > 0 {
					i := rapid.IntRange(0, n-1).Draw(t, "which")
					source.Snapshots = append(append([]zfs.Snap{}, source.Snapshots[:i]...), source.Snapshots[i+1:]...)
				}
			case "bookmark":
				if n := len(source.Snapshots); n > 0 {
					s := source.Snapshots[rapid.IntRange(0, n-1).Draw(t, "which")]
					if !s.Bookmark {
						s.Bookmark = true
						i := 0
						for i < n && source.Snapshots[i].CreateTXG <= s.CreateTXG {
							i++
						}
						source.Snapshots = append(append(append([]zfs.Snap{}, source.Snapshots[:i]...), s), source.Snapshots[i:]...)
					}
				}
			case "prune":
				if target != nil && len(target.Snapshots) > 1 {
					i := rapid.IntRange(0, len(target.Snapshots)-2).Draw(t, "which")
					target.Snapshots = append(append([]zfs.Snap{}, target.Snapshots[:i]...), target.Snapshots[i+1:]...)
				}
			case "local":
				if target != nil && rapid.IntRange(0, 9).Draw(t, "rarely") == 0 {
					targetTXG++
					guid++
					target.Snapshots = append(target.Snapshots, zfs.Snap{Name: "local", GUID: zfs.GUID(guid), CreateTXG: targetTXG})
					diverged = true
				}
			case "run":
				targets := []zfs.Dataset{dataset("tank", "")}
				if target != nil {
					targets = append(targets, *target)
				}
				plan := Make(Input{Scope: tank, Source: []zfs.Dataset{source}, Target: targets})
				item := plan.Items[0]
				goal, any := source.Newest()
				if item.Stuck() {
					if len(item.Streams) > 0 {
						t.Fatalf("%s, but it sends", item.Action)
					}
					if any && item.Action == Conflict && !diverged && !lostHistory(&source, target) {
						t.Fatalf("conflict out of nothing: %s", item.Reason)
					}
					continue
				}
				for _, s := range item.Streams {
					apply(t, &source, &target, s, receive)
				}
				newest, _ := target.Newest()
				if newest.GUID != goal.GUID && !(item.Action == Current && newest.GUID == item.CommonGUID) {
					t.Fatalf("%s leaves the standby at %d, want %d", item.Action, newest.GUID, goal.GUID)
				}
			}
		}
	})
}

// lostHistory reports whether the standby has snapshots, newer than every common
// one, which the source once had and destroyed.
func lostHistory(source, target *zfs.Dataset) bool {
	if target == nil {
		return false
	}
	newest, any := target.Newest()
	if !any {
		return false
	}
	for _, s := range source.Snapshots {
		if s.GUID == newest.GUID {
			return false
		}
	}
	return true
}

// apply is what OpenZFS does with a stream.
func apply(t *rapid.T, source *zfs.Dataset, target **zfs.Dataset, s Stream, receive func(zfs.Snap)) {
	name := zfs.SnapshotOf(s.To)
	to, found := source.Find(func(c zfs.Snap) bool { return c.Name == name })
	if !found {
		t.Fatalf("send %s: no such snapshot", s.To)
	}
	if s.From == "" {
		if *target != nil {
			t.Fatalf("a full stream into a dataset that exists")
		}
		receive(to)
		return
	}
	var base zfs.Snap
	for _, c := range source.Snapshots {
		if c.Full(source.Name) == s.From {
			base = c
		}
	}
	newest, _ := (*target).Newest()
	switch {
	case base.GUID == 0:
		t.Fatalf("send from %s: no such base", s.From)
	case newest.GUID != base.GUID:
		t.Fatalf("stream from %d into a dataset at %d", base.GUID, newest.GUID)
	case s.All && base.Bookmark:
		t.Fatalf("-I from a bookmark")
	case to.CreateTXG <= base.CreateTXG:
		t.Fatalf("stream from %s to the older %s", s.From, s.To)
	}
	for _, c := range source.OnlySnapshots() {
		if c.CreateTXG > base.CreateTXG && (c.GUID == to.GUID || s.All && c.CreateTXG < to.CreateTXG) {
			receive(c)
		}
	}
}

// BenchmarkPlan shows that planning is linear in the number of snapshots.
func BenchmarkPlan(b *testing.B) {
	for _, total := range []int{10_000, 20_000, 40_000} {
		b.Run(strconv.Itoa(total), func(b *testing.B) {
			const datasets = 100
			var source, target []zfs.Dataset
			r := rand.New(rand.NewPCG(1, 2))
			target = append(target, dataset("tank", ""))
			for i := range datasets {
				d := zfs.Dataset{Name: fmt.Sprintf("tank/data/%03d", i), Type: zfs.Filesystem}
				for j := range total / datasets {
					d.Snapshots = append(d.Snapshots, zfs.Snap{Name: fmt.Sprint("s", j), GUID: zfs.GUID(r.Uint64()), CreateTXG: uint64(j + 1)})
				}
				source = append(source, d)
				d.Snapshots = d.Snapshots[:len(d.Snapshots)-1]
				target = append(target, d)
			}
			scope := Scope{config.Dataset{Name: "tank/data", Recursive: true}}
			for b.Loop() {
				Make(Input{Scope: scope, Source: source, Target: target})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(total), "ns/snapshot")
		})
	}
}
