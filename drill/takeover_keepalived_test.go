//go:build drill

package drill

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

func parentKilled(t *testing.T, d *takeover) {
	killed := time.Now()
	d.must(t, lab.SignalService(d.ctx, d.active, "keepalived", "KILL"))
	d.moved(t, killed, afterCrash)
}

// childKilled kills the process that speaks VRRP. Its parent starts another
// one, which removes the address that it finds.
func childKilled(t *testing.T, d *takeover) {
	killed := time.Now()
	d.shell(t, d.active, `kill -9 $(pgrep -P "$(lab-service pid keepalived)")`)
	d.moved(t, killed, 0)
}

// keepalivedKilled leaves no process that would remove the address.
func keepalivedKilled(t *testing.T, d *takeover) {
	node, killed := d.active, time.Now()
	d.must(t, lab.KillService(d.ctx, node, "keepalived"))
	d.moved(t, killed, afterCrash)
	d.idle(t, node)
}

// noticed waits until status reports a defect of the check, on a node that
// keeps serving.
func (d *takeover) noticed(t *testing.T, change, back string) {
	began := time.Now()
	d.shell(t, d.active, change)
	d.afterwards(t, d.active, back)
	d.await(t, func() string {
		text, _ := Shell(d.ctx, d.active, `failover-notify status`) // its exit code may well say so too
		if strings.Contains(text, "track-traefik") {
			return ""
		}
		return "a word about track-traefik in:\n" + text
	})
	if took := time.Since(began); took > time.Minute {
		t.Errorf("status said so after %s", took)
	}
	d.shell(t, d.active, back)
	d.stays(t, 2*time.Second)
}

func checkDeleted(t *testing.T, d *takeover) {
	d.noticed(t, `mv /usr/bin/track-traefik /usr/bin/away`, `[ ! -e /usr/bin/away ] || mv /usr/bin/away /usr/bin/track-traefik`)
}

func checkInsecure(t *testing.T, d *takeover) {
	d.noticed(t, `chmod 777 /usr/bin/track-traefik`, `chmod 755 /usr/bin/track-traefik`)
}

// slowStarts slows down every start from now on.
func (d *takeover) slowStarts(t *testing.T, after string) {
	t.Helper()
	for _, n := range d.Lab.Nodes {
		d.must(t, SetProjects(d.ctx, n, map[string]Slow{"traefik": {Start: after}, "app1": {Start: after}, "app2": {Stop: after}}))
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if err := SetProjects(ctx, n, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// flaps makes keepalived change its state three times within five seconds,
// while projects still start and stop. The last request counts. The other node
// sends nothing and is left alone. The address stays, so that both nodes can be
// observed to the end.
func flaps(t *testing.T, d *takeover) {
	d.slowStarts(t, "2s")
	began := time.Now()
	d.shell(t, d.active, asKeepalived, `for request in backup master fault master stop master; do failover-notify $request; sleep 0.7; done; exit 0`)
	t.Logf("six requests in %.1f s", time.Since(began).Seconds())
	d.serves(t)
	d.stays(t, 2*time.Second)
	if s := d.state(t, d.active); s.Role.RequestSeq != s.Request.Seq || s.Request.Requested != state.RequestMaster {
		t.Errorf("%s is %s", d.active.Name(), s)
	}
}

// whilePromoting makes the standby promote itself slowly, and ends its
// keepalived in the middle. The other node takes over again, unless it has
// heard that its data is out of date. In that case it stays out, and the newest
// data is served once keepalived is back on its node.
func (d *takeover) whilePromoting(t *testing.T, end func(lab.Node)) {
	d.slowStarts(t, "3s")
	from, to := d.active, d.standby
	d.endKeepalived(t, from)
	d.awaitState(t, to, "services being started", func(s NodeState) bool {
		if s.Role.Role != state.RolePromoting || s.Role.Transition == nil {
			return false
		}
		for _, step := range s.Role.Transition.Steps {
			if step.Name == "start" {
				return true
			}
		}
		return false
	})
	d.must(t, lab.StartService(d.ctx, from, "keepalived"))
	ended := time.Now()
	end(to)
	d.active, d.standby = to, from
	staysOut := false
	d.await(t, func() string {
		staysOut = slices.ContainsFunc(d.state(t, from).Eligibility.Reasons, func(r state.Ineligible) bool { return r.Kind == state.IneligibleReplica })
		if staysOut {
			return ""
		}
		_, missing := d.Line.Moments(ended, from.Name())
		return missing
	})
	if !staysOut {
		d.moved(t, ended, 0)
		d.idle(t, to)
		return
	}
	t.Logf("%s has heard that its data is old", from.Name())
	d.idle(t, from)
	d.idle(t, to)
	d.must(t, lab.StartService(d.ctx, to, "keepalived"))
	d.serves(t)
}

func stoppedWhilePromoting(t *testing.T, d *takeover) {
	d.whilePromoting(t, func(n lab.Node) { d.endKeepalived(t, n) })
}

func killedWhilePromoting(t *testing.T, d *takeover) {
	d.whilePromoting(t, func(n lab.Node) { d.must(t, lab.KillService(d.ctx, n, "keepalived")) })
}
