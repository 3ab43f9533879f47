package setup

import (
	"maps"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

// A new server replaces a lost one: the keys of the old server are replaced, and the
// setup continues.
func TestReplaced(t *testing.T) {
	const ways = "/root/.ssh/authorized_keys"
	a, b := hosts()
	s, out := trial(a, b, usual(t, b))
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	old := []string{"AAAAold", "HOSTold"}
	a.files[ways] = machine.File{Found: true, Text: "ssh-ed25519 MINE me@home\n" + strings.Replace(a.files[ways].Text, "AAAAbeta", old[0], 1), Mode: 0o600}
	a.files[knownHostsFile] = machine.File{Found: true, Text: strings.Replace(a.files[knownHostsFile].Text, "HOSTbeta", old[1], 1), Mode: 0o644}
	maps.DeleteFunc(b.files, func(path string, _ machine.File) bool { return !strings.HasSuffix(path, "compose.yaml") })
	b.role = ""
	clear(b.enabled)
	clear(b.active)
	s, out = trial(a, b, Answers{})
	s.Replace = true
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, path := range []string{ways, knownHostsFile} {
		if text := a.files[path].Text; strings.Contains(text, old[0]) || strings.Contains(text, old[1]) {
			t.Errorf("a key of the old server is still in %s:\n%s", path, text)
		}
	}
	if text := a.files[ways].Text; !strings.HasPrefix(text, "ssh-ed25519 MINE me@home\n") || !strings.Contains(text, "AAAAbeta") {
		t.Errorf("authorized_keys:\n%s", text)
	}
	if b.role != "standby" || !b.enabled["understudy-replicate.timer"] {
		t.Errorf("the new one is %q, units %v", b.role, b.enabled)
	}
}

// The key and the host keys have the paths in the configuration.
func TestOwnPaths(t *testing.T) {
	a, b := hosts()
	s, out := trial(a, b, usual(t, b))
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const known = "/root/known"
	text := strings.Replace(a.files[configFile].Text, "known_hosts_file: "+knownHostsFile, "known_hosts_file: "+known, 1)
	for _, h := range []*host{a, b} {
		h.files[configFile] = machine.File{Found: true, Text: strings.Replace(text, "enalpha", "en"+h.facts.Host, 1), Mode: 0o644}
		h.files[knownHostsFile] = machine.File{Found: true, Text: "mine\n", Mode: 0o644}
	}
	s, out = trial(a, b, Answers{})
	// The simulated ssh reads the default file, and finds nothing there.
	if err := s.Run(t.Context()); err == nil {
		t.Errorf("no error\n%s", out)
	}
	if a.files[knownHostsFile].Text != "mine\n" || a.files[known].Text == "" || b.files[known].Text == "" {
		t.Errorf("host keys: %q and %q", a.files[knownHostsFile].Text, a.files[known].Text)
	}
}
