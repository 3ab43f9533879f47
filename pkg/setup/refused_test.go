package setup

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/run"
)

// Invalid settings stop the setup before it changes anything.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		code int
		says string
		do   func(*Answers, *host, *host)
	}{
		{"no address", 64, "the address that the clients use is required", func(x *Answers, _, _ *host) { x.VirtualIP = "" }},
		{"no such address", 64, `"300.1.1.1" is not an address`, func(x *Answers, _, _ *host) { x.VirtualIP = "300.1.1.1" }},
		{"another network", 64, "is not in the network of enalpha", func(x *Answers, _, _ *host) { x.VirtualIP = "198.51.100.1" }},
		{"a node's own", 64, "own address of one of the machines", func(x *Answers, _, _ *host) { x.VirtualIP = "192.0.2.11" }},
		{"one name", 64, "both nodes have the name", func(x *Answers, _, _ *host) { x.Name, x.PeerName = "x", "x" }},
		{"host names", 64, `both machines have the name "alpha"`, func(_ *Answers, _, b *host) { b.facts.Host = "alpha" }},
		{"dataset", 64, "is not a dataset name", func(x *Answers, _, _ *host) { x.Datasets = []string{"/tank"} }},
		{"excluded", 78, "", func(x *Answers, _, _ *host) { x.Datasets = []string{"tank", "tank/a"} }},
		{"no pool there", 1, "beta: no pool tank", func(_ *Answers, _, b *host) { b.facts.Pools = nil }},
		{"a release", 1, "Understudy is v1 here and v2 there", func(_ *Answers, _, b *host) { b.facts.Version = "v2" }},
		{"a folder", 1, "/usr/local/bin there", func(_ *Answers, _, b *host) { b.facts.Folder = "/usr/local/bin" }},
		{"not root", 1, "needs root", func(_ *Answers, a, _ *host) { a.facts.UID = 1000 }},
		{"keepalived", 1, "not installed: keepalived", func(_ *Answers, _, b *host) {
			b.facts.Programs = maps.Clone(b.facts.Programs)
			delete(b.facts.Programs, "keepalived")
		}},
		{"projects", 1, "missing project files", func(_ *Answers, _, b *host) { clear(b.files) }},
		{"Compose", 1, "beta: docker compose does not work: docker: 'compose' is not a docker command.", func(_ *Answers, _, b *host) {
			b.fails["docker compose"] = run.Error{ExitCode: 1, Stderr: "docker: 'compose' is not a docker command.\nSee 'docker --help'\n"}
		}},
		{"engine", 1, "alpha: the Docker Engine does not answer: Cannot connect", func(_ *Answers, a, _ *host) {
			a.fails["docker version"] = run.Error{ExitCode: 1, Stderr: "Cannot connect to the Docker daemon\n"}
		}},
		{"taken", 64, "192.0.2.100 is in use", func(_ *Answers, a, _ *host) { a.taken = true }},
		{"this machine", 64, "is this machine", func(x *Answers, _, _ *host) { x.Address = "192.0.2.11" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := hosts()
			answers := usual(t, b)
			c.do(&answers, a, b)
			none := 0
			a.dies, b.dies = &none, &none
			s, out := trial(a, b, answers)
			err := s.Run(t.Context())
			code := 1
			if coded, ok := errors.AsType[interface {
				error
				ExitCode() int
			}](err); ok {
				code = coded.ExitCode()
			}
			if err == nil || code != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("code %d, error %v, want %d and %q\n%s", code, err, c.code, c.says, out)
			}
		})
	}
}

// keepalived checks its file before the file is installed.
func TestKeepalivedRefuses(t *testing.T) {
	a, b := hosts()
	b.fails["keepalived --config-test"] = run.Error{ExitCode: 5, Stderr: "(/x: Line 3) Unknown keyword 'vrrp'\n"}
	s, _ := trial(a, b, usual(t, b))
	err := s.Run(t.Context())
	if _, ok := errors.AsType[*RefusedError](err); !ok || b.files["/etc/keepalived/keepalived.conf"].Found {
		t.Errorf("error %v, installed %v", err, b.files["/etc/keepalived/keepalived.conf"].Found)
	}
	if a.role != "" {
		t.Error("it continued")
	}
}

// A key that allows more than the gate stops the setup before anything starts.
func TestOpenKey(t *testing.T) {
	a, b := hosts()
	s, _ := trial(a, b, usual(t, b))
	a.fails["ssh "] = run.Error{}
	if err := s.Run(t.Context()); err == nil || a.role != "" {
		t.Errorf("error %v, role %q", err, a.role)
	}
}
