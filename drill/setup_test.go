//go:build drill

package drill

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// TestSetup makes a pair of two unconfigured nodes by one command, and cuts the
// power of the active node.
func TestSetup(t *testing.T) {
	if Kind() != lab.NS {
		t.Log("the set-up is the same on virtual machines; it is tried on ns nodes")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	d := newBare(t, ctx)
	d.begins(t, ctx, "two bare nodes become a pair")
	d.measured.partly = true
	hostKey := strings.Fields(d.shell(t, d.B, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`))[1]
	flags := []string{"--peer", d.B.Address(), "--virtual-ip", VirtualIP, "--witness", "ping://10.77.0.1", "--dataset", Apps, "--services-directory", Checkout}

	// setup refuses an unknown host, and a wrong key.
	d.setup(t, 76, "host key is unknown here", flags...)
	d.setup(t, 76, "host key differs from --host-key", append(flags, "--host-key", "SHA256:of-another")...)
	flags = append(flags, "--host-key", hostKey, "--yes")
	d.setup(t, 64, "is not in the network of eth0", append(flags, "--virtual-ip", "192.0.2.1")...)

	// A dry run prints the steps and changes nothing.
	text := d.setup(t, 0, "", append(flags, "--dry-run", "--verbose")...)
	for _, want := range []string{
		"would do: configuration on a", "virtual_ip: " + VirtualIP + "/24", "projects: [apps/*/docker-compose.yml]", "first: [traefik]",
		"container: traefik", "http://127.0.0.1:8080/ping", "would do: key on b", "would do: ssh access for a on b", "vrrp_instance",
		"manual: start", "zfs-replicate run", "These steps would remain for you", "10.77.0.100",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("a dry run does not tell of %q:\n%s", want, text)
		}
	}
	for _, n := range d.Lab.Nodes {
		d.shell(t, n, `! ls -d /etc/understudy /etc/keepalived/keepalived.conf 2>/dev/null`)
	}

	// A killed setup resumes; without systemd the operator starts the services.
	d.ended(t, flags)
	d.setup(t, 3, "start: do this by hand", flags...)
	d.shell(t, d.A, `grep -c '^restrict,command="failover-notify gate",from="'"$1"'" ssh-ed25519 [^ ]* understudy b$' /root/.ssh/authorized_keys`, d.B.Address())
	d.must(t, d.StartServices(ctx))
	text = d.setup(t, 0, "", "--yes")
	if !strings.Contains(text, "A failover would work right now") {
		t.Errorf("the doctor does not say that a failover works:\n%s", text)
	}
	d.serves(t)

	// setup leaves a different file alone, and saves a copy where it replaces
	// one.
	d.shell(t, d.B, `echo '# of my own' >>/etc/keepalived/keepalived.conf`)
	text = d.setup(t, 76, "keepalived on b: the existing content differs", "--yes")
	if !strings.Contains(text, "-# of my own") {
		t.Errorf("the difference is not shown:\n%s", text)
	}
	d.shell(t, d.B, `tail -n 1 /etc/keepalived/keepalived.conf | grep -qx '# of my own'`)

	pulled := time.Now()
	d.must(t, d.PullPlug(ctx, d.active))
	d.moved(t, pulled, afterCrash)
}

// newBare makes a site and removes all configuration from its nodes.
func newBare(t *testing.T, ctx context.Context) *takeover {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the drill makes network namespaces, which needs root: sudo make drill")
	}
	dir := t.TempDir()
	programs, err := BuildSite(ctx, Kind(), dir)
	if err != nil {
		t.Fatal(err)
	}
	more := map[string]string{}
	for _, name := range []string{"image-sync", "lag-check"} {
		more[filepath.Join(dir, name)] = "cmd/" + name
	}
	if err := buildAll(ctx, more); err != nil {
		t.Fatal(err)
	}
	s, err := SiteUp(ctx, SiteOptions{Kind: Kind(), Programs: programs, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Down(); err != nil {
			t.Error(err)
		}
	})
	d := &takeover{Site: s, ctx: ctx, name: "set-up", began: time.Now(), active: s.A, standby: s.B, lost: map[string]bool{}, tail: map[string]bool{}}
	for _, n := range s.Lab.Nodes {
		for file := range more {
			d.must(t, n.CopyTo(ctx, file, "/usr/bin/"+filepath.Base(file)))
		}
		// The lab's key becomes the operator's key on the first node.
		d.shell(t, n, `programs=$(command -v zfs-replicate); [ "$programs" = /usr/bin/zfs-replicate ] || mv "$programs" /usr/bin/
			[ "$(hostname)" != a ] || mv /etc/understudy/id_ed25519 /root/.ssh/id_ed25519
			rm -rf /etc/understudy /etc/keepalived/keepalived.conf /root/.ssh/config /root/.ssh/known_hosts /var/lib/understudy`)
	}
	return d
}

// setup runs the command on the first node and returns its output.
func (d *takeover) setup(t *testing.T, code int, says string, flags ...string) string {
	t.Helper()
	began := time.Now()
	result, err := d.A.Run(d.ctx, lab.Argv(append([]string{"failover-notify", "setup"}, flags...)...))
	var exit *lab.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	t.Logf("failover-notify setup %s: %d after %.1f s", strings.Join(flags, " "), result.Code, time.Since(began).Seconds())
	if result.Code != code || !strings.Contains(result.Stderr, says) {
		t.Fatalf("exit code %d, want %d and %q:\n%s%s", result.Code, code, says, result.Stdout, result.Stderr)
	}
	for line := range strings.Lines(result.Stdout) {
		// Files and diffs, which are indented, keep their width.
		if len([]rune(strings.TrimRight(line, "\n"))) > 80 && !strings.HasPrefix(line, "      ") {
			t.Errorf("wider than 80 columns: %q", line)
		}
	}
	return result.Stdout
}

// ended starts a setup and kills it once the configuration is written.
func (d *takeover) ended(t *testing.T, flags []string) {
	t.Helper()
	d.shell(t, d.A, `failover-notify setup "$@" >/root/setup.log 2>&1 & setup=$!
		for _ in $(seq 500); do [ ! -e /etc/understudy/id_ed25519.pub ] || break; sleep 0.02; done
		kill -9 $setup || { cat /root/setup.log >&2; exit 1; }; wait $setup || true; [ -e /etc/understudy/config.yaml ]`, flags...)
}
