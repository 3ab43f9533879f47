//go:build drill

package drill

import (
	"context"
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

// childKilled kills the process that speaks VRRP; its parent starts another,
// which takes the address that it finds away.
func childKilled(t *testing.T, d *takeover) {
	killed := time.Now()
	d.shell(t, d.active, `kill -9 $(pgrep -P "$(lab-service pid keepalived)")`)
	d.moved(t, killed, 0)
}

// keepalivedKilled leaves nobody who would take the address away.
func keepalivedKilled(t *testing.T, d *takeover) {
	node, killed := d.active, time.Now()
	d.must(t, lab.KillService(d.ctx, node, "keepalived"))
	d.moved(t, killed, afterCrash)
	d.idle(t, node)
}

// noticed waits until status says so of the check, on a node that goes on
// serving meanwhile.
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

// slowStarts makes everything that is started from now on take its time.
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

// flaps moves the address three times within five seconds, while projects are
// still starting and stopping: in the end one node has all of it.
func flaps(t *testing.T, d *takeover) {
	d.slowStarts(t, "2s")
	began := time.Now()
	holder, other := d.active, d.standby
	for range 3 {
		d.must(t, lab.StopService(d.ctx, holder, "keepalived"))
		d.await(t, func() string {
			if s, ok := d.Line.Last(other.Name()); ok && s.Address {
				return ""
			}
			return "the address on " + other.Name()
		})
		d.must(t, lab.StartService(d.ctx, holder, "keepalived"))
		holder, other = other, holder
		if Kind() == lab.NS {
			time.Sleep(time.Until(began.Add(2 * time.Second))) // the new one has to hear the other
		}
	}
	t.Logf("three moves in %.1f s", time.Since(began).Seconds())
	d.settled(t)
}

// settled waits until one of the nodes, whichever it is, has the address and
// everything, and the other one nothing.
func (d *takeover) settled(t *testing.T) {
	t.Helper()
	d.await(t, func() string {
		for _, n := range d.Lab.Nodes {
			if s := d.state(t, n); s.Role.Role == state.RoleActive && s.Role.Intent == s.Intent.Seq {
				d.active, d.standby = n, d.Other(n)
				return ""
			}
		}
		return "an active node: " + d.state(t, d.A).String() + "; " + d.state(t, d.B).String()
	})
	d.serves(t)
	d.idle(t, d.standby)
}

// whilePromoting has the standby promote itself, slowly, and ends its
// keepalived in the middle: the other node takes over again.
func (d *takeover) whilePromoting(t *testing.T, end func(lab.Node) error) {
	d.slowStarts(t, "3s")
	from, to := d.active, d.standby
	d.must(t, lab.StopService(d.ctx, from, "keepalived"))
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
	d.must(t, end(to))
	d.active, d.standby = to, from
	d.moved(t, ended, 0)
	d.idle(t, d.standby)
}

func stoppedWhilePromoting(t *testing.T, d *takeover) {
	d.whilePromoting(t, func(n lab.Node) error { return lab.StopService(d.ctx, n, "keepalived") })
}

func killedWhilePromoting(t *testing.T, d *takeover) {
	d.whilePromoting(t, func(n lab.Node) error { return lab.KillService(d.ctx, n, "keepalived") })
}
