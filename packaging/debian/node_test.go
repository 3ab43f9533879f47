//go:build drill

package debian

import (
	"cmp"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/lab"
)

var programs = []string{"failover-notify", "image-sync", "lag-check", "track-traefik", "zfs-replicate"}

// machine says for which one a program is built, and that it is static.
func machine(t *testing.T, program string) string {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("%s wants %v, error %v", program, libraries, err)
	}
	return f.Machine.String()
}

// server is a node on which packages are installed. systemctl is a stand-in that
// notes what it is asked for: nodes of namespaces have no systemd.
type server struct {
	t    *testing.T
	node lab.Node
}

const (
	standIn = "#!/bin/sh\necho \"$*\" >>/systemctl.log\n"
	config  = `nodes: [{name: here, address: 10.77.0.11}]
replication: {datasets: [{name: tank/app}]}
`
	// What the administrator has made of the packaged file.
	rotation = "/var/log/understudy.log {\n\tdaily\n}\n"
)

func newServer(t *testing.T, packages ...string) server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	kind := lab.Kind(cmp.Or(os.Getenv("LAB"), string(lab.NS)))
	l, err := lab.Up(ctx, lab.Options{Kind: kind, Nodes: []string{"here"}, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	s := server{t, l.Nodes[0]}
	for i, deb := range packages {
		s.copy(deb, fmt.Sprintf("/%d.deb", i+1))
	}
	s.write("/usr/local/sbin/systemctl", standIn, 0o755)
	s.must("mkdir -p /run/systemd/system")
	if err := lab.MakePool(ctx, s.node, "tank", 1<<27); err != nil {
		t.Fatal(err)
	}
	s.must("zfs create tank/app")
	return s
}

// sh runs a script and returns all it printed, and its exit code.
func (s server) sh(script string) (string, int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	result, err := s.node.Run(ctx, lab.Argv("env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", "exec 2>&1; "+script))
	if _, failed := errors.AsType[*lab.ExitError](err); err != nil && !failed {
		s.t.Fatalf("%s: %v", script, err)
	}
	return result.Stdout, result.Code
}

// must is sh for what may not fail.
func (s server) must(script string) string {
	s.t.Helper()
	out, code := s.sh(script)
	if code != 0 {
		s.t.Fatalf("%s: exit code %d\n%s", script, code, out)
	}
	return out
}

// dpkg installs or removes with the pages, which the lab's image leaves out.
func (s server) dpkg(args string) string {
	s.t.Helper()
	return s.must("dpkg --path-include='/usr/share/doc/*' --path-include='/usr/share/man/*' " + args)
}

func (s server) copy(host, node string) {
	s.t.Helper()
	if err := s.node.CopyTo(s.t.Context(), host, node); err != nil {
		s.t.Fatal(err)
	}
}

func (s server) write(path, text string, mode os.FileMode) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	s.copy(file, path)
}

// asked is what systemctl was asked for since the last look.
func (s server) asked() []string {
	s.t.Helper()
	return strings.Split(strings.TrimSpace(s.must("touch /systemctl.log; cat /systemctl.log; rm /systemctl.log")), "\n")
}

func (s server) wants(want ...string) {
	s.t.Helper()
	if got := s.asked(); !slices.Equal(got, want) {
		s.t.Errorf("systemctl %q, want %q", got, want)
	}
}

// says fails the test when a text is not in what was printed.
func (s server) says(out string, texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !regexp.MustCompile(text).MatchString(out) {
			s.t.Errorf("no %q in\n%s", text, out)
		}
	}
}

// nothingEnabled looks wherever something could make one of our programs run.
func (s server) nothingEnabled() {
	s.t.Helper()
	for _, look := range []string{
		"find /etc/systemd /etc/cron* /etc/init.d /etc/rc*.d /lib/systemd/system/*.wants /lib/systemd/system/*.d -name '*understudy*'",
		"grep -rlE 'understudy|zfs-replicate|failover-notify|image-sync|lag-check|track-traefik' /etc/systemd /etc/cron* /etc/init.d",
		"pgrep -l 'failover-notify|image-sync|lag-check|zfs-replicate'",
	} {
		if out, _ := s.sh(look + " 2>/dev/null"); out != "" {
			s.t.Errorf("%s: %s", look, out)
		}
	}
}
