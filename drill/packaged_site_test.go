//go:build drill

package drill

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/drill/observe"
	"github.com/understudy-ha/understudy/lab"
)

// packaged is a pair of servers that systemd starts.
type packaged struct {
	*runbooks
	deb string // the package, on this machine
}

// patient adapts the configuration to an emulated processor, which needs
// seconds for an answer over ssh.
const patient = `sed -i 's/^witness:$/witness:\n    timeout: 3s/' /etc/understudy/config.yaml
echo 'failover: {peer_timeout: 30s, join_wait: 90s}' >>/etc/understudy/config.yaml`

// observed starts the observer at each boot.
const observed = `cat >/etc/systemd/system/lab-observer.service <<END
[Unit]
Description=Lab: answers who writes and who has the address
After=lab-network.service
[Service]
ExecStart=/usr/bin/observer node $1:%d %s /%s
Restart=always
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --now lab-observer`

// emulated makes keepalived run its check less often: an emulated processor
// needs most of a second for it (see keepalivedConfig). The check itself stays
// unchanged.
const emulated = `mkdir -p /etc/systemd/system/keepalived.service.d
cat >/etc/systemd/system/keepalived.service.d/lab.conf <<'END'
[Service]
ExecStartPre=/bin/sh -c "sed -e 's/^    interval 1$/    interval 2/; s/^    timeout 1$/    timeout 3/; s/^    fall 2$/    fall 3/; s/^    rise 2$/    rise 1/' /etc/keepalived/keepalived.conf >/run/lab-keepalived.conf"
ExecStart=
ExecStart=/usr/sbin/keepalived --dont-fork --use-file /run/lab-keepalived.conf
END
systemctl daemon-reload`

// newPackaged starts two servers with a pool, Docker and images, and data on
// the first: the state of a reader who starts with README.md.
func newPackaged(t *testing.T, ctx context.Context) *packaged {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the drill makes network namespaces, which needs root: sudo make takeover LAB=vm")
	}
	deb := makePackage(t, ctx)
	programs, err := BuildSite(ctx, Kind(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	l, err := lab.Up(ctx, lab.Options{Kind: Kind(), Systemd: true, Nodes: []string{"primary", "secondary"}, HubProgram: programs.Hub, Simulator: programs.Simulator, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{Pair: &Pair{Lab: l, A: l.Nodes[0], B: l.Nodes[1]}, programs: programs}
	t.Cleanup(func() {
		if err := s.Down(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("two servers up in %.1f s", time.Since(began).Seconds())
	d := &takeover{Site: s, ctx: ctx, name: "first start", began: began, active: s.A, standby: s.B, lost: map[string]bool{}, tail: map[string]bool{}}
	p := &packaged{runbooks: &runbooks{takeover: d}, deb: deb}
	p.must(t, p.each(func(n lab.Node) error { return p.equip(ctx, n) }))
	p.must(t, s.makeDatasets(ctx))
	if s.watch, err = startWatch(l, programs.Observer); err != nil {
		t.Fatal(err)
	}
	s.Line = s.watch.line
	for _, n := range l.Nodes {
		p.shell(t, n, `! ls -d /etc/understudy /etc/keepalived/keepalived.conf /var/lib/understudy /usr/bin/failover-notify /usr/lib/systemd/system/understudy* 2>/dev/null`)
	}
	t.Logf("two servers made ready in %.1f s", time.Since(began).Seconds())
	return p
}

// equip gives a server its state before a second server is planned, and the
// observer of the lab.
func (p *packaged) equip(ctx context.Context, n lab.Node) error {
	if err := n.CopyTo(ctx, p.programs.Observer, "/usr/bin/observer"); err != nil {
		return err
	}
	scripts := []string{
		fmt.Sprintf(observed, observe.Port, VirtualIP, Apps),
		// For unknown names, the engine asks a resolver too.
		`mkdir -p /etc/docker; echo '{"dns": ["127.0.0.1"]}' >/etc/docker/daemon.json; systemctl restart docker`,
	}
	if n.Kind() == lab.VM {
		scripts = append(scripts, emulated)
	}
	for _, script := range scripts {
		if _, err := Shell(ctx, n, script, n.Management()); err != nil {
			return err
		}
	}
	if err := lab.MakePool(ctx, n, Pool, 1<<30); err != nil {
		return err
	}
	if err := WriteFile(ctx, n, nodeEnv, "NODE="+n.Name()+"\n"); err != nil {
		return err
	}
	if err := SetProjects(ctx, n, nil); err != nil {
		return err
	}
	for _, image := range []string{p.programs.images.webapp, p.programs.images.traefik} {
		if err := lab.LoadImage(ctx, n, image); err != nil {
			return err
		}
	}
	_, err := n.Run(ctx, lab.Argv("sync", "-f", "/"))
	return err
}

// letIn gives the operator at the first server a login on the second one, which
// docs/setup.md asks for.
func (p *packaged) letIn(t *testing.T) {
	t.Helper()
	key := p.shell(t, p.A, `ssh-keygen -q -t ed25519 -N '' -C person -f /root/.ssh/id_ed25519; cat /root/.ssh/id_ed25519.pub`)
	p.shell(t, p.B, `echo "$1" >>/root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys`, key)
}

// makePackage makes the package for this machine's architecture as README.md
// says.
func makePackage(t *testing.T, ctx context.Context) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", "-C", "..", "package", "ARCHS=amd64")
	cmd.WaitDelay = 5 * time.Second
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make package: %v\n%s", err, text)
	}
	found, err := filepath.Glob("../dist/understudy_*_amd64.deb")
	if err != nil || len(found) != 1 {
		t.Fatalf("packages: %q, %v", found, err)
	}
	return found[0]
}

var shBlock = regexp.MustCompile("(?ms)^ *```sh\n(.*?)^ *```$")

// command returns the command of a page that contains a text, with the lab's
// addresses.
func command(t *testing.T, page, contains string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range shBlock.FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
			if line, _, _ = strings.Cut(line, " #"); strings.Contains(line, contains) {
				return strings.NewReplacer(toLab...).Replace(strings.TrimSpace(line))
			}
		}
	}
	t.Fatalf("%s has no command with %q", page, contains)
	return ""
}
