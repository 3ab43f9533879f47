package plan

import (
	"testing"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

func TestScope(t *testing.T) {
	s := Scope{
		{Name: "tank/data", Recursive: true, Exclude: []string{"tank/data/tmp"}},
		{Name: "tank/one"},
		{Name: "ssd", Recursive: false},
		{Name: "old/x", Recursive: true, Target: "backup/old"},
	}
	for _, c := range []struct {
		target string
		want   bool
	}{
		{"tank/data", true},
		{"tank/data/a/b", true},
		{"tank/database", false},
		{"tank", false},
		{"tank/data/tmp", false},
		{"tank/data/tmp/x", false},
		{"tank/data/tmpx", true},
		{"tank/one", true},
		{"tank/one/child", false},
		{"tank/understudy-kept/x", false},
		{"ssd", true},
		{"ssd/understudy-root", true},
		{"ssd/other", false},
		{"old/x", false},
		{"backup/old/y", true},
		{"tank/data@snap", false},
		{"tank/data/x%recv", false},
		{"tank/data#mark", false},
		{"-r", false},
		{"", false},
	} {
		if got := s.Allows(c.target); got != c.want {
			t.Errorf("Allows(%q) is %v, want %v", c.target, got, c.want)
		}
	}
	for source, want := range map[string]string{"tank/data/a": "tank/data/a", "old/x/y z": "backup/old/y z", "tank/data/tmp": "", "tank": ""} {
		if got, ok := s.Target(source); got != want || ok != (want != "") {
			t.Errorf("Target(%q) is %q, %v", source, got, ok)
		}
	}
}

func TestScopeNarrowed(t *testing.T) {
	all := Scope{{Name: "tank", Recursive: true, Exclude: []string{"tank/a/tmp", "tank/b"}, Target: "backup/t"}}
	s, err := all.Narrow("tank/a")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Target("tank/a/x"); got != "backup/t/a/x" {
		t.Errorf("tank/a/x goes to %q", got)
	}
	if _, ok := s.Target("tank/a/tmp"); ok {
		t.Error("the exclusion was lost")
	}
	for _, outside := range []string{"tank/b", "tank/b/c", "other"} {
		if _, err := all.Narrow(outside); codeOfUsage(err) != 64 {
			t.Errorf("--dataset %s: error %v, want usage", outside, err)
		}
	}
}

func codeOfUsage(err error) int {
	if u, ok := err.(*Usage); ok {
		return u.ExitCode()
	}
	return -1
}

// A node that holds an entry under its target's name sends it back.
func TestScopeReversed(t *testing.T) {
	for _, c := range []struct {
		entry  config.Dataset
		target map[string]string // on a standby, by the name here
	}{
		{config.Dataset{Name: "tank/srv", Recursive: true, Target: "backup/srv", Exclude: []string{"tank/srv/tmp"}},
			map[string]string{"backup/srv": "tank/srv", "backup/srv/db": "tank/srv/db", "backup/srv/tmp": "", "tank/srv": "", "backup": ""}},
		{config.Dataset{Name: "tank", Recursive: true, Target: "backup/a"},
			map[string]string{"backup/a": "tank", "backup/a/db": "tank/db"}},
		{config.Dataset{Name: "tank/srv", Recursive: true, Target: "backup"},
			map[string]string{"backup/understudy-root": "tank/srv", "backup/db": "tank/srv/db", "backup/understudy-kept/x": ""}},
		{config.Dataset{Name: "tank", Target: "backup"},
			map[string]string{"backup/understudy-root": "tank", "backup/db": ""}},
	} {
		s, both := Scope{reversed(c.entry)}, BothWays([]config.Dataset{c.entry}, false)
		for source, want := range c.target {
			got, ok := s.Target(source)
			if got != want || ok != (want != "") {
				t.Errorf("%v: %s goes to %q, %v, want %q", c.entry, source, got, ok, want)
			}
			if ok && !both.Allows(got) {
				t.Errorf("%v: a standby does not take %s", c.entry, got)
			}
			if ok && !both.Lists(zfs.Root{Name: got}) {
				t.Errorf("%v: a standby does not list %s", c.entry, got)
			}
			if local := BothWays([]config.Dataset{c.entry}, true); ok && got != c.entry.TargetName() && local.Allows(got) {
				t.Errorf("%v: on the same machine %s is received into", c.entry, got)
			}
		}
	}
}

func TestTurned(t *testing.T) {
	d := config.Dataset{Name: "tank/srv", Target: "backup/srv"}
	own, copied := zfs.Dataset{Name: "tank/srv"}, zfs.Dataset{Name: "backup/srv", StreamFlags: "Lce"}
	replica := func(d zfs.Dataset) zfs.Dataset { d.ReadOnly, d.StreamFlags = true, "Lce"; return d }
	for _, c := range []struct {
		here []zfs.Dataset
		want bool
	}{
		{nil, false},
		{[]zfs.Dataset{own}, false},
		{[]zfs.Dataset{copied}, true},
		{[]zfs.Dataset{replica(copied)}, false},
		{[]zfs.Dataset{own, replica(copied)}, false},
		{[]zfs.Dataset{replica(own), copied}, true},
		{[]zfs.Dataset{replica(own), replica(copied)}, false},
	} {
		if got, err := turned(d, c.here); got != c.want || err != nil {
			t.Errorf("%+v: %v, %v", c.here, got, err)
		}
	}
	pool, root := zfs.Dataset{Name: "backup"}, zfs.Dataset{Name: "backup/understudy-root", StreamFlags: "Lce"}
	for _, c := range []struct {
		here []zfs.Dataset
		want bool
	}{
		{[]zfs.Dataset{own, pool}, false},
		{[]zfs.Dataset{pool}, false},
		{[]zfs.Dataset{pool, root}, true},
		{[]zfs.Dataset{pool, replica(root)}, false},
		{[]zfs.Dataset{replica(own), pool, root}, true},
	} {
		if got, err := turned(config.Dataset{Name: "tank/srv", Target: "backup"}, c.here); got != c.want || err != nil {
			t.Errorf("%+v: %v, %v", c.here, got, err)
		}
	}
	_, err := turned(d, []zfs.Dataset{own, copied})
	if refusal, ok := err.(*Refusal); !ok || refusal.ExitCode() != 76 {
		t.Errorf("error is %v", err)
	}
}
