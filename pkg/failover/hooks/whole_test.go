package hooks

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/cli"
)

func TestHandles(t *testing.T) {
	for line, want := range map[string]bool{
		"":                                false,
		"event INSTANCE a MASTER 100":     true,
		"peer -o json --newest-term 3":    true,
		"gate":                            true,
		"peer --help":                     false,
		"master -h":                       false,
		"status":                          false,
		"--config /etc/x.yaml peer":       false,
		"help peer":                       false,
		"stop --config /etc/x.yaml":       true,
		"switchover --return a --dry-run": false,
	} {
		if got := handles(strings.Fields(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
	for _, c := range newRoot(&cli.Process{}).Commands() {
		if !handles([]string{c.Name()}) {
			t.Errorf("%s is a command here and is left to the whole program", c.Name())
		}
	}
}

// What keepalived and other nodes start must not load what it does not need.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "../../../cmd/failover-notify").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, heavy := range []string{"compose-spec", "jsonschema", "etcd", "google.golang.org", "go-zfs", "shoutrrr", "pkg/docker", "pkg/compose"} {
		if strings.Contains(string(out), heavy) {
			t.Errorf("cmd/failover-notify imports %s", heavy)
		}
	}
}

// Both programs, as built and as installed; and the error without the whole one.
func TestBecomeWhole(t *testing.T) {
	dir := t.TempDir()
	built, installed, alone := filepath.Join(dir, "bin"), filepath.Join(dir, "usr", "bin"), filepath.Join(dir, "alone", "bin")
	build := func(to, pkg string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", to+"/", pkg).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	front, whole := "../../../cmd/failover-notify", "../../../libexec/failover-notify"
	build(filepath.Join(built, "libexec"), whole)
	build(filepath.Join(dir, "usr", "lib", "understudy"), whole)
	for _, to := range []string{built, installed, alone} {
		build(to, front)
	}
	for _, bin := range []string{built, installed} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "failover-notify"), "status", "--help").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "failover-notify status") {
			t.Errorf("%s: %v: %s", bin, err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(alone, "failover-notify"), "status").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "failover-notify: error: the whole program is missing") || !strings.Contains(string(out), "hint: ") {
		t.Errorf("alone: %v: %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(alone, "failover-notify"), "event", "x").CombinedOutput(); err == nil || strings.Contains(string(out), "whole program") {
		t.Errorf("a hook needs the whole program: %v: %s", err, out)
	}
}
