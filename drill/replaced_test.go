//go:build drill

package drill

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// TestPackagedReplaced replaces a lost server by the one command of its
// runbook. systemd is the real one.
func TestPackagedReplaced(t *testing.T) {
	if os.Getenv("UNDERSTUDY_TAKEOVER") == "" || Kind() != lab.NS {
		t.Log("this is run by itself, on nodes in namespaces: make takeover LAB=ns")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	p := newPackaged(t, ctx)
	t.Cleanup(func() {
		if t.Failed() {
			p.journals(t)
		}
	})
	p.begins(t, ctx, "a server is replaced, with its system")
	p.installs(t)
	p.setsUp(t)

	person := p.shell(t, p.A, `cat /root/.ssh/id_ed25519.pub`)
	p.shell(t, p.B, nobody, person)
	p.must(t, lab.MakePool(ctx, p.B, Pool, 1<<30))
	if result := p.takeover.tries(t, p.A, "failover-notify", "setup", "--yes"); result.Code != 76 || !strings.Contains(result.Stderr, "--host-key SHA256:…") {
		t.Errorf("a host with another key is talked to, or it is not said what to do (%d): %s", result.Code, result.Stderr)
	}
	key := strings.Fields(p.shell(t, p.B, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`))[1]
	p.again(t, strings.Replace(blockOf(t, "../docs/runbooks/replace-server.md", "failover-notify setup"), "SHA256:…", key, 1)+" --yes --replace")
	if n := p.shell(t, p.A, `grep -c 'failover-notify gate' /root/.ssh/authorized_keys`); n != "1" {
		t.Errorf("the old server's key may still call the gate: %s lines", n)
	}
}

// again runs setup on a pair that serves and checks that the pair is complete.
func (p *packaged) again(t *testing.T, setup string) {
	t.Helper()
	if text := p.types(t, 0, setup); !strings.Contains(text, "A failover would work right now") {
		t.Error("the doctor does not say that a failover works")
	}
	p.serves(t)
	p.idle(t, p.B)
	p.ready(t)
	p.healthy(t)
	p.judge(t)
}

// blockOf returns a shell block of a page, which readers type and TestRunbooks
// does not.
func blockOf(t *testing.T, page, begins string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)^ *```shell\n *(" + begins + ".*)$").FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("%s has no %s", page, begins)
	}
	return found[1]
}

// nobody turns a server into a newly installed one that has the package and
// lets the operator log in.
const nobody = `units="understudy-fence understudy-join understudy keepalived understudy-replicate.timer understudy-lag-check.timer understudy-image-sync.timer"
systemctl stop keepalived # its last hook starts the watcher
systemctl stop $units understudy-replicate understudy-lag-check understudy-image-sync; systemctl disable $units
zfs unmount -a; zpool destroy -f tank; rm /var/lib/understudy-disk/tank.pool
rm -rf /var/lib/understudy /run/understudy /etc/understudy/* /etc/keepalived/keepalived.conf /etc/systemd/system/keepalived.service.d /root/.ssh
rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl daemon-reload; systemctl restart ssh
install -d -m 700 /root/.ssh; echo "$1" >/root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys`
