//go:build drill

package drill

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// TestPackaged makes a pair of two plain Debian servers, from the packages and
// by the documents alone. Then the first server loses power, and the runbooks
// bring the services back to it. systemd is the real one.
func TestPackaged(t *testing.T) {
	if Kind() == lab.VM && os.Getenv("UNDERSTUDY_TAKEOVER") == "" {
		t.Log("as the takeovers of virtual machines, this is run by itself: make takeover LAB=vm")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Minute)
	defer cancel()
	p := newPackaged(t, ctx)
	defer p.report(t)
	ok := true
	for _, part := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"packages", p.installs},
		{"set-up", p.setsUp},
		{"power pulled, by the runbook", p.losesPower},
		{"failback, by the runbook", p.failsBack},
		{"power off in order", p.powersOff},
		{"removed and installed again", p.removes},
	} {
		ok = ok && t.Run(part.name, func(t *testing.T) {
			p.begins(t, ctx, part.name)
			t.Cleanup(func() {
				if t.Failed() {
					p.journals(t)
				}
			})
			part.do(t)
			p.happened()
			t.Logf("%.1f s", time.Since(p.began).Seconds())
		})
	}
}

// installs installs the package as README.md says. Nothing may run afterwards,
// and systemd must accept the units.
func (p *packaged) installs(t *testing.T) {
	install := command(t, "../README.md", "apt install")
	for _, n := range p.Lab.Nodes {
		p.must(t, n.CopyTo(p.ctx, p.deb, "/root/dist/"+filepath.Base(p.deb)))
	}
	p.must(t, p.each(func(n lab.Node) error {
		text, err := Shell(p.ctx, n, `cd; export DEBIAN_FRONTEND=noninteractive; `+install+` </dev/null 2>&1`)
		t.Logf("%s: %s\n%s", n.Name(), install, text)
		return err
	}))
	for _, n := range p.Lab.Nodes {
		if text := p.shell(t, n, `ls /etc/understudy; systemctl list-unit-files --no-legend 'understudy*' | awk '$2 == "enabled"'; pgrep -al 'failover-notify|zfs-replicate|lag-check|image-sync' || true
			systemctl list-units --no-legend --all 'understudy*' | awk '$3 == "active" || $3 == "failed"'`); text != "" {
			t.Errorf("%s: installing is to start and enable nothing:\n%s", n.Name(), text)
		}
		if text := p.shell(t, n, `systemd-analyze verify --man=no /usr/lib/systemd/system/understudy* 2>&1 | grep -i understudy || true`); text != "" {
			t.Errorf("%s: systemd-analyze verify:\n%s", n.Name(), text)
		}
	}
}

// setsUp makes the pair as docs/setup.md says. On an emulated processor
// everything takes longer, so the configuration is adapted before anything
// starts.
func (p *packaged) setsUp(t *testing.T) {
	const page = "../docs/setup.md"
	p.letIn(t)
	key := strings.Fields(p.shell(t, p.B, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`))[1]
	setup := strings.NewReplacer("SHA256:…", key, "/srv/compose", Checkout).Replace(command(t, page, "--host-key"))
	text := p.types(t, 0, setup+" --dry-run --verbose")
	for _, want := range []string{"would do: configuration on primary", "would do: start at boot on secondary", "systemctl start understudy-join.service understudy.service"} {
		if !strings.Contains(text, want) {
			t.Errorf("a dry run does not tell of %q", want)
		}
	}
	if Kind() == lab.VM {
		p.types(t, 3, setup+" --no-start")
		p.shell(t, p.A, patient)
		p.shell(t, p.B, patient)
		// Each check of doctor may take eight seconds, too few for an emulated
		// processor that runs them all: the steps before it count.
		p.types(t, -1, "failover-notify setup --yes")
		p.shell(t, p.A, `systemctl --quiet is-active understudy-replicate.timer understudy-lag-check.timer understudy-image-sync.timer`)
	} else if text = p.types(t, 0, setup); !strings.Contains(text, "A failover would work right now") {
		t.Error("the doctor does not say that a failover works")
	}
	for _, n := range p.Lab.Nodes {
		p.shell(t, n, command(t, page, "docker.service.d")+"; systemctl daemon-reload")
	}
	p.serves(t)
	p.ready(t)
	p.healthy(t)
}

// losesPower cuts the power of the first node. Once the second node serves, the
// runbook is followed.
func (p *packaged) losesPower(t *testing.T) {
	p.shell(t, p.active, note)
	pulled := time.Now()
	p.must(t, p.PullPlug(p.ctx, p.active))
	p.moved(t, pulled, 0)
	p.judge(t)
	p.follows(t, "power-loss.md")
	if said := p.shell(t, p.standby, `journalctl -b --no-pager -o cat -u understudy-fence`); !strings.Contains(said, "read-only for the boot: ") {
		t.Errorf("%s was active when it lost its power, and was not fenced at boot: %s", p.standby.Name(), said)
	}
	p.judge(t)
	p.kept(t)
	p.healthy(t)
}

// failsBack moves the services back to the first node.
func (p *packaged) failsBack(t *testing.T) {
	p.follows(t, "failback.md")
	if p.look(t); p.active != p.A {
		t.Fatalf("%s is active", p.active.Name())
	}
	p.serves(t)
	p.idle(t, p.standby)
	p.awaitState(t, p.standby, "a standby that could take over", func(s NodeState) bool {
		return s.Role.Role == state.RoleStandby && s.Current() && s.Shown
	})
	p.lostNothing(t)
	p.healthy(t)
}

// powersOff shuts the active node down: it hands over before systemd stops
// anything that the handover needs, and nothing is lost. It returns as a
// standby.
func (p *packaged) powersOff(t *testing.T) {
	node, asked := p.active, time.Now()
	p.must(t, node.Stop(p.ctx))
	p.Line.Break(node.Name())
	t.Logf("off after %.1f s", time.Since(asked).Seconds())
	p.moved(t, asked, 0)
	p.lostNothing(t)
	p.must(t, node.Start(p.ctx))
	p.booted(t, node)
	p.idle(t, node)
	p.await(t, func() string { // 75: the timer's run is at work
		if result := p.takeover.tries(t, p.active, "zfs-replicate", "run"); result.Code != 0 {
			return "a replication: " + result.Stderr
		}
		return ""
	})
	p.ready(t)
	p.lostNothing(t)
	p.healthy(t)
}

// removes removes the package, which an active node refuses, and installs it
// again as docs/packages.md says.
func (p *packaged) removes(t *testing.T) {
	const page = "../docs/packages.md"
	remove := `export DEBIAN_FRONTEND=noninteractive; apt remove -y understudy </dev/null 2>&1`
	if result := p.takeover.tries(t, p.active, "bash", "-c", remove); result.Code == 0 || !strings.Contains(result.Stdout, "this node is active: not removed") {
		t.Fatalf("on the active node the package was removed, or it is not said why not (%d):\n%s", result.Code, result.Stdout)
	}
	t.Log(p.shell(t, p.standby, remove))
	if left := p.shell(t, p.standby, `systemctl list-units --no-legend --plain 'understudy*'; pgrep -al 'failover-notify|zfs-replicate|lag-check|image-sync' || true`); left != "" {
		t.Errorf("still there after the package was removed:\n%s", left)
	}
	p.serves(t)
	p.shell(t, p.standby, `cd; export DEBIAN_FRONTEND=noninteractive; `+command(t, "../README.md", "apt install")+` </dev/null >&2`)
	for _, c := range []string{command(t, page, "failover-notify release"), command(t, page, "systemctl start understudy.service")} {
		t.Log(c, "\n", p.shell(t, p.standby, c+" 2>&1"))
	}
	p.ready(t)
	p.serves(t)
	p.healthy(t)
}

// follows runs a page as TestRunbooks does.
func (p *packaged) follows(t *testing.T, page string) {
	t.Helper()
	i := slices.IndexFunc(situations, func(s situation) bool { return s.page == page })
	for _, step := range readPages(t)[page] {
		if Kind() == lab.VM { // the pages' pair has one application more
			step.Output = strings.NewReplacer("4 of 4", "3 of 3", "of 4 ", "of 3 ").Replace(step.Output)
		}
		if strings.TrimSpace(step.Script) == "zfs-replicate run" {
			step.Repeat = true // the timer's run may be at work
		}
		p.step(t, situations[i], step)
	}
}

// healthy checks that systemd reports no failed unit on either node.
func (p *packaged) healthy(t *testing.T) {
	t.Helper()
	for _, n := range p.Lab.Nodes {
		// A scheduled replication fails in fault; the next run may be a minute
		// away.
		p.shell(t, n, `systemctl start understudy-replicate.service || true`)
		if failed := p.shell(t, n, `systemctl --failed --no-legend --plain`); failed != "" {
			t.Errorf("%s has units that failed:\n%s", n.Name(), failed)
		}
		for _, unit := range []string{"understudy", "understudy-join", "understudy-fence", "keepalived", "understudy-replicate.timer", "understudy-lag-check.timer", "understudy-image-sync.timer"} {
			if _, err := n.Run(p.ctx, lab.Argv("systemctl", "--quiet", "is-enabled", unit)); err != nil {
				t.Errorf("%s is not started at boot on %s", unit, n.Name())
			}
		}
		if wrong := p.shell(t, n, `journalctl -b --no-pager -o cat _PID=1 | grep -iE 'ordering cycle|unknown (key|section)|bad .*setting' || true`); wrong != "" {
			t.Errorf("systemd on %s complains:\n%s", n.Name(), wrong)
		}
	}
}

// types runs a command on the first node, without a terminal, and returns its
// output. A code below 0 allows any exit code.
func (p *packaged) types(t *testing.T, code int, script string) string {
	t.Helper()
	began := time.Now()
	result, err := p.A.Run(p.ctx, lab.Argv("bash", "-c", script))
	if _, failed := errors.AsType[*lab.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	t.Logf("%s: %d after %.1f s\n%s%s", script, result.Code, time.Since(began).Seconds(), result.Stdout, result.Stderr)
	if code >= 0 && result.Code != code {
		t.Fatalf("exit code %d, want %d", result.Code, code)
	}
	return result.Stdout
}

// journals prints the journal after a failure.
func (p *packaged) journals(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, n := range p.Lab.Nodes {
		text, err := Shell(ctx, n, `systemctl --failed --no-pager || true; systemctl list-jobs --no-pager || true; systemctl status --no-pager -n 0 'understudy*' keepalived docker || true
			journalctl -b --no-pager -n 120 -u 'understudy*' -u keepalived -u docker -u containerd -u zfs-mount -t failover-notify -t Keepalived_vrrp || true`)
		t.Logf("%s: %v\n%s", n.Name(), err, text)
	}
}
