package setup

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

// host is a simulated machine: files in memory, and programs that do what a setup
// needs.
type host struct {
	facts machine.Facts
	files map[string]machine.File
	other *host
	role  string
	// enabled and active are states of systemd units.
	enabled, active map[string]bool
	ran             []string
	// fails maps prefixes of command lines to exit codes and texts.
	fails map[string]run.Error
	// dies ends the setup after that many changes, as a kill would.
	dies *int
	// taken reports that every address answers.
	taken bool
}

// killed is the error of steps after the setup was killed.
type killed struct{}

func (killed) Error() string { return "killed" }

// changing counts a change.
func (h *host) changing() error {
	if h.dies == nil {
		return nil
	}
	if *h.dies == 0 {
		return killed{}
	}
	*h.dies--
	return nil
}

func (h *host) Inspect(context.Context) (machine.Facts, error) { return h.facts, nil }

func (h *host) Read(_ context.Context, path string) (machine.File, error) { return h.files[path], nil }

func (h *host) Write(_ context.Context, path string, f machine.File) error {
	if err := h.changing(); err != nil {
		return err
	}
	f.Found = true
	h.files[path] = f
	return nil
}

func (h *host) Run(_ context.Context, c machine.Call) (machine.Output, error) {
	line := strings.Join(c.Argv, " ")
	h.ran = append(h.ran, line)
	for begin, failed := range h.fails {
		if strings.HasPrefix(line, begin) {
			failed.Argv, failed.Cause = c.Argv, fmt.Errorf("exit status %d", failed.ExitCode)
			return machine.Output{Stderr: failed.Stderr}, &failed
		}
	}
	fail := func(code int) (machine.Output, error) {
		return machine.Output{}, &run.Error{Argv: c.Argv, ExitCode: code, Cause: fmt.Errorf("exit status %d", code)}
	}
	switch c.Argv[0] {
	case "ssh-keygen":
		if err := h.changing(); err != nil {
			return machine.Output{}, err
		}
		if c.Argv[1] == "-y" {
			return machine.Output{Stdout: h.public()}, nil
		}
		h.files[identityFile] = machine.File{Found: true, Text: "PRIVATE of " + h.facts.Host, Mode: 0o600}
		h.files[identityFile+".pub"] = machine.File{Found: true, Text: h.public(), Mode: 0o644}
	case "ssh":
		known := strings.Contains(h.files[knownHostsFile].Text, h.other.facts.HostKeys[0])
		for line := range strings.Lines(h.other.files["/root/.ssh/authorized_keys"].Text) {
			if known && strings.Contains(line, "AAAA"+h.facts.Host) {
				if c.Argv[len(c.Argv)-1] == "true" {
					return fail(76)
				}
				return machine.Output{Stdout: "{}"}, nil
			}
		}
		return fail(255)
	case "failover-notify":
		if c.Argv[1] == "peer" {
			return machine.Output{Stdout: fmt.Sprintf(`{"role": %q, "eligible": true}`, h.role)}, nil
		}
		return machine.Output{Stdout: "A failover would work right now.\n"}, nil
	case "systemctl":
		return h.systemctl(c.Argv[1:], fail)
	case "git", "id":
		return fail(1)
	case "ping":
		if !h.taken {
			return fail(1)
		}
	}
	return machine.Output{}, nil
}

func (h *host) systemctl(args []string, fail func(int) (machine.Output, error)) (machine.Output, error) {
	if args[0] == "--quiet" {
		if args[1] == "is-enabled" && !h.enabled[args[2]] || args[1] == "is-active" && !h.active[args[2]] {
			return fail(1)
		}
		return machine.Output{}, nil
	}
	if err := h.changing(); err != nil {
		return machine.Output{}, err
	}
	for _, unit := range args[1:] {
		switch {
		case args[0] == "enable" && unit != "--now":
			h.enabled[unit] = true
			h.active[unit] = h.active[unit] || slices.Contains(args, "--now")
		case unit == "keepalived.service" && h.role == "":
			h.role = "active"
			if h.other.role == "active" {
				h.role = "standby"
			}
		}
	}
	return machine.Output{}, nil
}

func (h *host) public() string {
	return "ssh-ed25519 AAAA" + h.facts.Host + " understudy " + h.facts.Host + "\n"
}

// hosts returns two hosts that do not know each other.
func hosts() (a, b *host) {
	programs := map[string]string{}
	for _, name := range []string{"failover-notify", "zfs-replicate", "track-traefik", "image-sync", "lag-check", "zfs", "zpool", "docker", "keepalived", "ssh", "ssh-keygen", "systemctl", "git"} {
		programs[name] = "/usr/bin/" + name
	}
	list := []*host{}
	for i, name := range []string{"alpha", "beta"} {
		list = append(list, &host{files: map[string]machine.File{}, enabled: map[string]bool{}, active: map[string]bool{}, fails: map[string]run.Error{}, facts: machine.Facts{
			Version: "v1", Host: name, Folder: "/usr/bin", Programs: programs, Systemd: true, Gateway: "192.0.2.1",
			Addresses: []machine.Address{{Interface: "en" + name, Prefix: netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/24", 10+i))}},
			Pools:     []machine.Pool{{Name: "rpool", System: true}, {Name: "tank"}}, HostKeys: []string{"ssh-ed25519 HOST" + name},
		}})
	}
	list[0].other, list[1].other = list[1], list[0]
	return list[0], list[1]
}

// project creates a folder with Traefik and an application, also on b.
func project(t *testing.T, b *host) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"apps/traefik/compose.yaml": "services:\n  proxy:\n    image: traefik:v3\n    container_name: edge\n    command: [--ping.entrypoint=internal, \"--entrypoints.internal.address=:9000\"]\n    ports: [\"127.0.0.1:9009:9000\"]\n",
		"apps/wiki/compose.yaml":    "services: {wiki: {image: wiki}}\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		b.files[path] = machine.File{Found: true, Text: text, Mode: 0o644}
	}
	return folder
}

// trial returns a setup of the two, and its output.
func trial(a, b *host, answers Answers) (*Setup, *bytes.Buffer) {
	var out bytes.Buffer
	answers.Peer, answers.Port = "192.0.2.11", 22
	return &Setup{
		Here: a, Answers: answers, Dialog: Dialog{Out: &out}, Yes: true, Poll: time.Millisecond, Patience: 50 * time.Millisecond,
		Toward: func(netip.Addr) (netip.Addr, error) { return netip.MustParseAddr("192.0.2.10"), nil },
		Open: func(context.Context, string, int) (machine.Machine, []string, func() error, error) {
			return b, []string{"192.0.2.11 ssh-ed25519 HOSTbeta"}, func() error { return nil }, nil
		},
	}, &out
}
