//go:build drill

package drill

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/drill/report"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// The goals for the virtual IP: VRRP's own time of up to 3.65 s after a crash,
// nearly none after a stop or fault, two checks more after Traefik's exit.
const (
	afterCrash   = 3700 * time.Millisecond
	afterStop    = time.Second
	afterTraefik = 3500 * time.Millisecond
)

// keepalivedEnded ends keepalived without a handover.
func keepalivedEnded(t *testing.T, d *takeover) {
	ended := time.Now()
	d.endKeepalived(t, d.active)
	d.moved(t, ended, afterStop)
}

// endKeepalived ends keepalived with SIGTERM, without the commands that its
// unit runs before.
func (d *takeover) endKeepalived(t *testing.T, n lab.Node) {
	t.Helper()
	d.must(t, lab.SignalService(d.ctx, n, "keepalived", "TERM"))
}

// switchover moves everything on request: no acknowledged write may be lost.
func switchover(t *testing.T, d *takeover) {
	asked := time.Now()
	d.shell(t, d.active, `failover-notify switchover >&2`)
	d.moved(t, asked, 0)
	d.lostNothing(t)
}

// plannedStop is "systemctl stop keepalived", which hands over first.
func plannedStop(t *testing.T, d *takeover) {
	stopped := time.Now()
	d.must(t, lab.StopService(d.ctx, d.active, "keepalived"))
	d.moved(t, stopped, 0)
	d.lostNothing(t)
}

// rebooted shuts the active node down in order, as a reboot does.
func rebooted(t *testing.T, d *takeover) {
	node, stopped := d.active, time.Now()
	d.must(t, node.Stop(d.ctx))
	d.Line.Break(node.Name())
	d.moved(t, stopped, 0)
	d.lostNothing(t)
	d.returns(t, node)
}

// reload makes keepalived read its configuration again while everything runs:
// no hook may follow, and nothing may change.
func reload(t *testing.T, d *takeover) {
	before := d.state(t, d.active)
	for _, n := range d.Lab.Nodes {
		d.must(t, lab.SignalService(d.ctx, n, "keepalived", "HUP"))
	}
	d.stays(t, 4*time.Second)
	if after := d.state(t, d.active); after.Role.Term != before.Role.Term || after.Role.Since != before.Role.Since {
		t.Errorf("%s was %s and is %s", d.active.Name(), before, after)
	}
}

// asKeepalived runs a script ($1) in a shell called keepalived: hooks recognise
// by this name whose request they bring.
const asKeepalived = `mkdir -p /run/drill; cp /bin/bash /run/drill/keepalived; /run/drill/keepalived -c "$1"`

// hooksInWrongOrder runs hooks as keepalived does: it starts them in order
// without waiting. The hook that started last counts, whichever ends last.
func hooksInWrongOrder(t *testing.T, d *takeover) {
	before := d.state(t, d.active)
	d.shell(t, d.active, asKeepalived, `
		( kill -STOP $BASHPID; exec failover-notify fault ) & fault=$!
		( kill -STOP $BASHPID; exec failover-notify backup ) & backup=$!
		for p in $fault $backup; do until grep -q "^State:.*stopped" /proc/$p/status; do :; done; done
		sleep 0.05
		failover-notify master & wait $!
		kill -CONT $fault; wait $fault
		kill -CONT $backup; wait $backup
		exit 0`)
	d.stays(t, 4*time.Second)
	if after := d.state(t, d.active); after.Request.Requested != state.RequestMaster || after.Role.Term != before.Role.Term {
		t.Errorf("%s was %s and is %s", d.active.Name(), before, after)
	}
}

func traefikExited(t *testing.T, d *takeover) {
	exited := time.Now()
	d.shell(t, d.active, `docker stop -t 0 traefik`)
	d.moved(t, exited, afterTraefik)
}

func traefikPaused(t *testing.T, d *takeover) {
	paused := time.Now()
	d.shell(t, d.active, `docker pause traefik`)
	d.moved(t, paused, 0)
}

// traefikBroken makes the stand-in answer every request with 500.
func traefikBroken(t *testing.T, d *takeover) {
	d.shell(t, d.active, `touch /run/broken`)
	broken := time.Now()
	d.shell(t, d.active, `docker cp -q /run/broken traefik:/broken`)
	d.moved(t, broken, 0)
	d.idle(t, d.standby)
	d.shell(t, d.standby, `docker rm -f traefik`)
}

// dockerFrozen stops the engine's process. Containers keep serving, so nothing
// may move. When the operator holds the node, its services end without the
// engine.
func dockerFrozen(t *testing.T, d *takeover) {
	node := d.active
	d.must(t, lab.SignalService(d.ctx, node, "docker", "STOP"))
	d.afterwards(t, node, `kill -CONT "$(lab-service pid docker)"`)
	d.stays(t, 5*time.Second)
	if text, err := Shell(d.ctx, node, `failover-notify hold --reason drill`); err == nil {
		t.Errorf("a hold that moves the services was not refused: %s", text)
	}
	held := time.Now()
	d.shell(t, node, `failover-notify hold --reason drill --force`)
	d.moved(t, held, afterStop)
	d.idle(t, node)
	if s := d.state(t, node); s.Shown || !strings.Contains(s.String(), "hold") {
		t.Errorf("held, %s is %s", node.Name(), s)
	}
	d.judge(t)
	// Once continued, Docker restarts containers by their policies. They have
	// no data, but must be noticed and stopped.
	d.must(t, lab.SignalService(d.ctx, node, "docker", "CONT"))
	d.stoppedAgain(t, node)
}

// stoppedAgain waits until the watcher has stopped the containers that Docker
// started, and watches on.
func (d *takeover) stoppedAgain(t *testing.T, n lab.Node) {
	t.Helper()
	began := time.Now()
	d.await(t, func() string {
		if _, err := Shell(d.ctx, n, `docker version`); err != nil {
			return "the engine of " + n.Name()
		}
		return ""
	})
	from := time.Now()
	d.await(t, func() string {
		// An earlier state does not count: the data was still in use then.
		since := time.Now().Add(-3 * time.Second)
		if since.Before(began) {
			since = began
		}
		quiet := d.Line.Since(since).Of(n.Name())
		for _, s := range quiet {
			if len(s.Writable) > 0 {
				t.Fatalf("%s has writable data: %s", n.Name(), report.Activity(s))
			}
			if s.Writer() {
				return n.Name() + " at rest: " + report.Activity(s)
			}
		}
		if time.Since(from) < 3*time.Second {
			return "three seconds"
		}
		return ""
	})
	t.Logf("with the engine back, %s was at rest for 3 s after %.1f s", n.Name(), time.Since(began).Seconds())
	d.began = time.Now()
}

// dockerDead kills the engine and all its processes but the containers. The
// proxies, through which the check reaches Traefik, end with it. The kernel
// still forwards clients to the containers, so nothing may move. When the
// operator holds the node, no engine can stop the containers.
func dockerDead(t *testing.T, d *takeover) {
	node := d.active
	d.must(t, lab.KillService(d.ctx, node, "docker"))
	if text, err := Shell(d.ctx, node, `curl -sS -m 1 http://127.0.0.1:8080/ping 2>&1`); err == nil {
		t.Errorf("without the engine's proxies, %s says %s", node.Name(), text)
	}
	d.stays(t, 5*time.Second)
	if text := d.shell(t, node, `cat /run/understudy/probe.json`); !strings.Contains(text, "without the engine's proxy") {
		t.Errorf("the check of %s says %s", node.Name(), text)
	}
	held := time.Now()
	d.shell(t, node, `failover-notify hold --reason drill --force`)
	d.moved(t, held, afterStop)
	d.idle(t, node)
	d.judge(t)
	d.must(t, lab.StartService(d.ctx, node, "docker"))
	d.stoppedAgain(t, node)
}

// dockerRestarted restarts a killed engine a moment later, as systemd does. The
// new engine ends the containers of the old one, and the virtual IP moves as
// when Traefik exits.
func dockerRestarted(t *testing.T, d *takeover) {
	node := d.active
	d.must(t, lab.KillService(d.ctx, node, "docker"))
	d.stays(t, 2*time.Second)
	started := time.Now()
	d.must(t, lab.StartService(d.ctx, node, "docker"))
	d.moved(t, started, 0)
	d.idle(t, node)
}

// engineRefusesOld restarts the standby's engine with a minimum API version, as
// an upgrade to Docker 29.0 does, while the watcher and the check run. The node
// stays ready and takes over. The next scenario finds that engine active.
func engineRefusesOld(t *testing.T, d *takeover) {
	node := d.standby
	d.must(t, lab.SetService(d.ctx, node, dockerService("1.44")))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		d.must(t, setServices(ctx, node))
	})
	d.must(t, lab.StopService(d.ctx, node, "docker"))
	d.must(t, lab.StartService(d.ctx, node, "docker"))
	const ask = `curl -s --unix-socket /var/run/docker.sock "http://docker/v$1/containers/json"`
	if said := d.shell(t, node, ask, "1.41"); !strings.Contains(said, "client version 1.41 is too old") {
		t.Fatalf("the engine of %s has no floor: %s", node.Name(), said)
	}
	d.stays(t, 3*time.Second)
	if text := d.shell(t, node, `track-traefik --explain`); !strings.Contains(text, "healthy: role standby") {
		t.Errorf("the check of %s says %s", node.Name(), text)
	}
	d.ready(t)
	switchover(t, d)
	d.serves(t)
	if text := d.shell(t, node, `cat /run/understudy/probe.json`); !strings.Contains(text, `"healthy":true`) || !strings.Contains(text, `"engine_api":"1.`) {
		t.Errorf("the check of %s says %s", node.Name(), text)
	}
}

// poolSuspended adds a pool in memory that runs out, since the pool of the
// other scenarios must survive the power loss.
func poolSuspended(t *testing.T, d *takeover) {
	vault := func(c Config) {
		c.Set("replication.datasets", []any{Config{"name": Apps}, Config{"name": "vault/data"}})
	}
	for _, n := range d.Lab.Nodes {
		d.shell(t, n, `mkdir -p /mnt/vault; mount -t tmpfs -o size=160m vault /mnt/vault; truncate -s 500m /mnt/vault/pool; zpool create vault /mnt/vault/pool`)
	}
	d.shell(t, d.active, `zfs create vault/data; echo kept >/vault/data/file`)
	d.must(t, d.Reconfigure(d.ctx, vault))
	d.replicate(t)
	node := d.active
	d.shell(t, node, `head -c 200m /dev/zero >/mnt/vault/hog 2>/dev/null || true
		setsid sh -c 'head -c 64m /dev/urandom >/vault/data/more; sync' </dev/null >/dev/null 2>&1 &`)
	d.await(t, func() string {
		if d.shell(t, node, `cat /proc/spl/kstat/zfs/vault/state`) == "SUSPENDED" {
			return ""
		}
		return "the pool's suspension"
	})
	d.moved(t, time.Now(), 0)
	d.must(t, d.Reconfigure(d.ctx, nil))
	// Only a power loss frees the processes that hang in a suspended pool.
	d.must(t, d.PullPlug(d.ctx, node))
	d.shell(t, d.active, `zpool destroy -f vault; umount /mnt/vault`)
}
