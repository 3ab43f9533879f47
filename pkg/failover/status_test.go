package failover_test

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

func TestJudgeServices(t *testing.T) {
	service := func(name, restart string) compose.Service { return compose.Service{Name: name, Restart: restart} }
	up := func(project, service, state string) docker.Container {
		return docker.Container{Project: project, Service: service, State: state}
	}
	projects := []compose.Project{
		{Name: "whole", Services: []compose.Service{service("web", "unless-stopped"), service("setup", "no")}},
		{Name: "lame", Services: []compose.Service{service("web", "always"), service("db", "unless-stopped"), service("job", "unless-stopped")}},
		{Name: "stopped", Services: []compose.Service{service("web", "always")}},
		{Name: "broken", Err: errors.New("line 3")},
	}
	got := failover.JudgeServices(projects, []docker.Container{
		up("whole", "web", "running"), up("lame", "web", "running"), up("lame", "db", "paused"), up("other", "web", "running"),
	})
	want := &rules.ServicesStatus{
		Projects: 4, Running: []string{"whole", "lame"}, Stopped: []string{"stopped", "broken"},
		Lame: []string{"lame/db paused", "lame/job stopped"}, Broken: []string{"broken: line 3"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// withPeer gives a node another one behind an ssh that is a shell script.
func withPeer(t *testing.T, script string) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	f := newFake(t)
	f.Config.Nodes[1].Address = "127.0.0.1"
	f.Config.SSH.Port = listener.Addr().(*net.TCPAddr).Port
	f.Config.Failover.RemoteCommand = "failover-notify"
	f.Peers = failover.NewSSHPeers(f.Node)
	return f
}

func TestStatusAll(t *testing.T) {
	f := withPeer(t, `case "$*" in
*" -- 127.0.0.1 failover-notify status --local -o json")
	echo '{"node": "b", "role": "active", "term": 4, "services": {"projects": 2, "running": ["web"], "stopped": ["db"]}}' ;;
*) echo "asked for: $*" >&2; exit 1 ;;
esac
`)
	f.Self = f.Config.Nodes[0]
	nodes, err := f.StatusAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 2 || nodes[0].Node != "a" || !nodes[0].Self || nodes[0].Status.Node != "a" || nodes[1].Status == nil {
		t.Fatalf("%+v", nodes)
	}
	if b := nodes[1].Status; b.Role != state.RoleActive || b.Term != 4 || b.Services.Stopped[0] != "db" {
		t.Errorf("b is %+v", b)
	}
	// The nodes stand where the configuration has them, whoever is asked.
	f.Config.Nodes[0], f.Config.Nodes[1] = f.Config.Nodes[1], f.Config.Nodes[0]
	if nodes, err = f.StatusAll(t.Context()); err != nil || nodes[0].Node != "b" || !nodes[1].Self {
		t.Errorf("%+v, error %v", nodes, err)
	}
}

func TestStatusOfANodeThatIsSilent(t *testing.T) {
	f := withPeer(t, "exec sleep 60\n")
	began := time.Now()
	nodes, err := f.StatusAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if nodes[1].Status != nil || !strings.Contains(nodes[1].Error, "ask b") {
		t.Errorf("%+v", nodes[1])
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

// What zfs-replicate has recorded is told as it is.
func TestConflictsInStatus(t *testing.T) {
	f := newFake(t)
	for name, text := range map[string]string{
		"replication": `{"standbys": {"b": {"last_run": "2026-01-01T00:00:00Z", "datasets": {"tank/a": {"action": "conflict", "error": "both"}, "tank/b": {"action": "current"}}}}}`,
		"received":    `{"from": "b", "conflicts": {"tank/c": "both again"}}`,
	} {
		if err := f.State.Write(name, json.RawMessage(text)); err != nil {
			t.Fatal(err)
		}
	}
	s := f.Replication()
	if len(s.Sent) != 1 || len(s.Sent[0].Conflicts) != 1 || s.Sent[0].Conflicts["tank/a"] != "both" || s.Sent[0].LastRun.IsZero() {
		t.Errorf("sent %+v", s.Sent)
	}
	if s.Received == nil || s.Received.Conflicts["tank/c"] != "both again" {
		t.Errorf("received %+v", s.Received)
	}
}
