package setup

import (
	"bufio"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

func usual(t *testing.T, b *host) Answers {
	return Answers{VirtualIP: "192.0.2.100", Directory: project(t, b), Given: true}
}

func TestSetup(t *testing.T) {
	a, b := hosts()
	s, out := trial(a, b, usual(t, b))
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"{name: alpha, address: 192.0.2.10, priority: 100}", "virtual_ip: 192.0.2.100/24", "interface: enalpha", "{name: tank}",
		"projects: [apps/*/compose.yaml]", "first: [traefik]", "container: edge", "ping: http://127.0.0.1:9009/ping", "targets: ['ping://192.0.2.1']",
	} {
		if !strings.Contains(a.files[configFile].Text, want) {
			t.Errorf("the configuration lacks %q:\n%s", want, a.files[configFile].Text)
		}
	}
	if want := strings.Replace(a.files[configFile].Text, "enalpha", "enbeta", 1); b.files[configFile].Text != want {
		t.Errorf("the other one's differs in more than the interface:\n%s", b.files[configFile].Text)
	}
	if got, want := b.files["/root/.ssh/authorized_keys"].Text, `restrict,command="failover-notify gate",from="192.0.2.10" ssh-ed25519 AAAAalpha understudy alpha`+"\n"; got != want {
		t.Errorf("authorized_keys %q, want %q", got, want)
	}
	if got, want := b.files[knownHostsFile].Text, "192.0.2.10 ssh-ed25519 HOSTalpha\n"; got != want {
		t.Errorf("known_hosts there %q, want %q", got, want)
	}
	for _, h := range []*host{a, b} {
		for path, f := range h.files {
			if strings.Contains(f.Text, "PRIVATE of "+h.other.facts.Host) {
				t.Errorf("%s has the other one's private key in %s", h.facts.Host, path)
			}
		}
		for _, unit := range []string{"understudy-fence.service", "understudy-join.service", "understudy.service", "keepalived.service", "understudy-replicate.timer", "understudy-lag-check.timer", "understudy-image-sync.timer"} {
			if !h.enabled[unit] {
				t.Errorf("%s is not enabled on %s", unit, h.facts.Host)
			}
		}
	}
	if a.role != "active" || b.role != "standby" {
		t.Errorf("roles %s and %s", a.role, b.role)
	}
	if !slices.ContainsFunc(b.ran, func(line string) bool { return strings.HasPrefix(line, "image-sync") }) {
		t.Error("the standby got no images")
	}
	for _, want := range []string{"A failover would work", "192.0.2.100", "DHCP", "DDNS", "UPS", "failover-notify drill"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not said: %s", want)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len([]rune(line)) > width+1 && !strings.HasPrefix(line, "     ") && strings.Count(strings.TrimSpace(line), " ") > 0 {
			t.Errorf("wider than %d columns: %q", width, line)
		}
	}
	again(t, a, b)
}

// again runs the setup a second time, which changes no file.
func again(t *testing.T, a, b *host) {
	t.Helper()
	before := []map[string]machine.File{maps.Clone(a.files), maps.Clone(b.files)}
	s, out := trial(a, b, Answers{})
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(out.String(), "doing: key") || strings.Contains(out.String(), "doing: start") {
		t.Errorf("done again:\n%s", out)
	}
	for i, h := range []*host{a, b} {
		if !maps.Equal(before[i], h.files) {
			t.Errorf("files of %s changed: %v", h.facts.Host, slices.Sorted(maps.Keys(h.files)))
		}
	}
}

// The next run continues, wherever the first was killed.
func TestKilled(t *testing.T) {
	for after := range 60 {
		a, b := hosts()
		answers := usual(t, b)
		s, _ := trial(a, b, answers)
		left := after
		a.dies, b.dies = &left, &left
		err := s.Run(t.Context())
		a.dies, b.dies = nil, nil
		if err == nil {
			if after < 15 {
				t.Fatalf("all was done with %d changes", after)
			}
			return
		}
		if !errors.Is(err, killed{}) {
			t.Fatalf("killed after %d changes: %v", after, err)
		}
		s, out := trial(a, b, answers)
		if err := s.Run(t.Context()); err != nil {
			t.Fatalf("after it was killed at change %d: %v\n%s", after, err, out)
		}
	}
	t.Error("it never came to its end")
}

// ssh-keygen was killed after it wrote the private half.
func TestHalfAKey(t *testing.T) {
	a, b := hosts()
	a.files[identityFile] = machine.File{Found: true, Text: "PRIVATE of alpha", Mode: 0o600}
	s, out := trial(a, b, usual(t, b))
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if slices.ContainsFunc(a.ran, func(line string) bool { return strings.HasPrefix(line, "ssh-keygen -q") }) {
		t.Error("an existing key was created again")
	}
}

func TestDryRun(t *testing.T) {
	a, b := hosts()
	s, out := trial(a, b, usual(t, b))
	before := []map[string]machine.File{maps.Clone(a.files), maps.Clone(b.files)}
	s.DryRun, s.Dialog.Verbose = true, true
	none := 0
	a.dies, b.dies = &none, &none
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !maps.Equal(before[0], a.files) || !maps.Equal(before[1], b.files) {
		t.Error("a dry run has written files")
	}
	for _, want := range []string{"ssh-keygen -q -t ed25519", "vrrp_instance", "ExecStart=/usr/bin/failover-notify join", "systemctl enable", "zfs-replicate run", `restrict,command="failover-notify gate",from="192.0.2.11"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not shown: %s\n%s", want, out)
		}
	}
}

// Content that differs stays unless the operator agrees.
func TestDiffers(t *testing.T) {
	const mine = "# mine\n"
	for _, path := range []string{"/etc/keepalived/keepalived.conf", configFile, "/etc/systemd/system/understudy.service"} {
		for _, c := range []struct {
			name    string
			replace bool
			answer  string
			code    int
		}{{"nobody to ask", false, "", 76}, {"no", false, "no\n", 76}, {"yes", false, "what?\nyes\n", 0}, {"--replace", true, "", 0}} {
			t.Run(path+" "+c.name, func(t *testing.T) {
				a, b := hosts()
				b.files[path] = machine.File{Found: true, Text: mine, Mode: 0o640}
				s, out := trial(a, b, usual(t, b))
				s.Replace = c.replace
				if c.answer != "" {
					s.Dialog.In = bufio.NewReader(strings.NewReader(c.answer))
				}
				err := s.Run(t.Context())
				if !strings.Contains(out.String(), "-# mine") {
					t.Errorf("the difference is not shown:\n%s", out)
				}
				if c.code == 0 {
					if err != nil || b.files[path].Text == mine || b.files[path+".orig"].Text != mine || b.files[path+".orig"].Mode != 0o640 {
						t.Errorf("error %v, file %q, copy %+v", err, b.files[path].Text, b.files[path+".orig"])
					}
					return
				}
				differs, ok := errors.AsType[*DiffersError](err)
				if !ok || differs.ExitCode() != c.code || b.files[path].Text != mine {
					t.Errorf("error %v, file %q", err, b.files[path].Text)
				}
			})
		}
	}
}

// A key with more rights than the gate is replaced.
func TestAuthorizedKeyDiffers(t *testing.T) {
	const path = "/root/.ssh/authorized_keys"
	a, b := hosts()
	open := "ssh-ed25519 AAAAalpha by hand\n"
	b.files[path] = machine.File{Found: true, Text: "ssh-ed25519 MINE me@home\n" + open, Mode: 0o600}
	s, _ := trial(a, b, usual(t, b))
	if _, ok := errors.AsType[*DiffersError](s.Run(t.Context())); !ok {
		t.Fatal("a line that differs was replaced, or left without notice")
	}
	s, out := trial(a, b, usual(t, b))
	s.Replace = true
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := b.files[path].Text; strings.Contains(got, open) || !strings.HasPrefix(got, "ssh-ed25519 MINE me@home\n") || strings.Count(got, "\n") != 2 {
		t.Errorf("authorized_keys:\n%s", got)
	}
}

func TestByHand(t *testing.T) {
	a, b := hosts()
	b.facts.Systemd = false
	s, out := trial(a, b, usual(t, b))
	err := s.Run(t.Context())
	if byHand, ok := errors.AsType[*ManualError](err); !ok || byHand.ExitCode() != 3 || !strings.Contains(out.String(), "failover-notify watch") {
		t.Fatalf("%v\n%s", err, out)
	}
	a.role, b.role = "active", "standby"
	s, out = trial(a, b, Answers{})
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !b.files["/etc/cron.d/zfs-replicate"].Found || len(b.enabled) > 0 {
		t.Errorf("without systemd: cron %v, units %v", b.files["/etc/cron.d/zfs-replicate"].Found, b.enabled)
	}
	if !strings.Contains(out.String(), "no program on beta reads /etc/cron.d") {
		t.Errorf("it is not said that there is no cron:\n%s", out)
	}
}

// The operator answers the questions; detected values are the defaults.
func TestInterview(t *testing.T) {
	a, b := hosts()
	folder := project(t, b)
	s, out := trial(a, b, Answers{})
	s.Yes, s.Answers.Peer = false, ""
	s.Dialog.In = bufio.NewReader(strings.NewReader(strings.Join([]string{
		"192.0.2.11", "primary", "secondary", "192.0.2.100", "", "-", "tank/apps, tank/mail", folder, "", "", "", "-", "yes", "",
	}, "\n")))
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := a.files[configFile].Text
	for _, want := range []string{"name: primary", "name: secondary", "{name: tank/apps}", "{name: tank/mail}", "container: edge"} {
		if !strings.Contains(text, want) {
			t.Errorf("the configuration lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "witness") || strings.Contains(text, "first") {
		t.Errorf("a dash is not an empty answer:\n%s", text)
	}
}

func TestUser(t *testing.T) {
	a, b := hosts()
	answers := usual(t, b)
	answers.User = "understudy"
	s, _ := trial(a, b, answers)
	// The user's authorized_keys are in its own home, which the simulated ssh does not
	// read: this tests the steps before.
	err := s.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "alpha") {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{
		"zfs allow -u understudy create,receive,mount,destroy,rename,readonly,canmount,userprop tank",
		"usermod --append --groups docker understudy", "install -d -m 2775 -g understudy /var/lib/understudy",
	} {
		if !slices.Contains(b.ran, want) {
			t.Errorf("not run: %s\n%s", want, strings.Join(b.ran, "\n"))
		}
	}
	if f := b.files[serviceHome+"/.ssh/authorized_keys"]; f.Owner != "understudy" || f.Mode != 0o600 {
		t.Errorf("authorized_keys of %q, mode %o", f.Owner, f.Mode)
	}
}

// With --no-start the operator learns what to start, and nothing starts.
func TestNoStart(t *testing.T) {
	a, b := hosts()
	s, out := trial(a, b, usual(t, b))
	s.NoStart = true
	err := s.Run(t.Context())
	if _, ok := errors.AsType[*ManualError](err); !ok || a.role+b.role != "" || !strings.Contains(out.String(), "systemctl restart keepalived") {
		t.Fatalf("%v, roles %q %q\n%s", err, a.role, b.role, out)
	}
}
