package replicate

import (
	"testing"

	"github.com/understudy-ha/understudy/pkg/config"
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
	e := &Engine{Config: &config.Config{Replication: config.Replication{Datasets: []config.Dataset{
		{Name: "tank", Recursive: true, Exclude: []string{"tank/a/tmp", "tank/b"}, Target: "backup/t"}}}}}
	s, err := e.scope("tank/a")
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
		if _, err := e.scope(outside); codeOfUsage(err) != 64 {
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
