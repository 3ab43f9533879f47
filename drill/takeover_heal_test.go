//go:build drill

package drill

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// heal makes the standby ready for a takeover: it runs, has stepped down, and
// has received the data of the active node.
func (d *takeover) heal(t *testing.T) {
	t.Helper()
	d.wake(t, d.standby)
	for _, name := range []string{"docker", "watch", "keepalived"} {
		d.must(t, lab.StartService(d.ctx, d.standby, name))
		d.must(t, lab.StartService(d.ctx, d.active, name))
	}
	d.idle(t, d.standby)
	d.serves(t)
	d.replicate(t)
	d.shell(t, d.standby, `failover-notify release || true`)
	d.ready(t)
}

// wake starts a node that is off and waits for its services.
func (d *takeover) wake(t *testing.T, n lab.Node) {
	t.Helper()
	d.must(t, n.RestoreNetwork(d.ctx))
	states, err := d.Lab.States(d.ctx)
	d.must(t, err)
	if states[n.Name()] == lab.Off {
		d.must(t, n.Start(d.ctx))
		d.booted(t, n)
	}
}

// booted waits until a node's boot has started its services.
func (d *takeover) booted(t *testing.T, n lab.Node) {
	t.Helper()
	d.await(t, func() string {
		console, err := os.ReadFile(n.Console())
		d.must(t, err)
		if strings.Contains(string(console), "lab-init: services started") {
			return ""
		}
		return "the services of " + n.Name()
	})
}

// replicate brings the standby up to date. A former active node preserves its
// unreplicated changes first.
func (d *takeover) replicate(t *testing.T) {
	t.Helper()
	d.shell(t, d.standby, `! zfs list "$1" >/dev/null 2>&1 || zfs-replicate rejoin --yes >&2`, Apps)
	d.kept(t)
	began := time.Now()
	o, err := StartRun(d.ctx, d.active).Wait()
	d.must(t, err)
	if o.Code != 0 {
		t.Fatalf("replication from %s ended with code %d:\n%s", d.active.Name(), o.Code, o.Stderr)
	}
	d.replicated = began
}

// kept checks that acknowledged writes that never reached the active node can
// be read on the standby.
func (d *takeover) kept(t *testing.T) {
	t.Helper()
	if len(d.tail) == 0 {
		return
	}
	text := d.shell(t, d.standby, `
		for name in $(zfs list -H -o name -t filesystem -r "$1/understudy-kept"); do
			at=$(zfs get -H -o value mountpoint "$name")
			[ "$(zfs get -H -o value canmount "$name")" != off ] || continue
			zfs mount "$name"
			[ ! -e "$at/log" ] || cat "$at/log"
			zfs unmount "$name"
		done`, Pool)
	found := writesIn(text)
	missing := 0
	for id := range d.tail {
		if !found[id] {
			missing++
			d.measured.misses(id)
			t.Logf("not kept: %s", id)
		}
	}
	if missing > 0 {
		t.Errorf("of %d acknowledged writes that were on %s alone, %d are not kept there", len(d.tail), d.standby.Name(), missing)
	}
	clear(d.tail)
}

// writesIn returns the ids in an application's log.
func writesIn(log string) map[string]bool {
	ids := map[string]bool{}
	for line := range strings.Lines(log) {
		if fields := strings.Fields(line); len(fields) == 4 {
			ids[fields[1]] = true
		}
	}
	return ids
}

// ready waits until keepalived on the standby is told that the node is
// eligible.
func (d *takeover) ready(t *testing.T) {
	t.Helper()
	d.awaitState(t, d.standby, "a standby that could take over", func(s NodeState) bool {
		return s.Role.Role == state.RoleStandby && s.Current() && s.Shown && s.Request.Requested == state.RequestBackup && s.Request.Boot == s.Boot
	})
}

// recover repairs a site after a failed scenario by booting both nodes, so that
// the other scenarios can run. Without a site they cannot.
func (d *takeover) recover(t *testing.T, ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	d.ctx, d.name, d.began = ctx, "recover", time.Now()
	done := false
	defer func() {
		if !done {
			d.explain(t)
		}
	}()
	d.must(t, d.Reconfigure(ctx, nil))
	for _, n := range d.Lab.Nodes {
		d.must(t, d.PullPlug(ctx, n))
	}
	for _, n := range d.Lab.Nodes {
		d.wake(t, n)
		d.must(t, SetProjects(ctx, n, nil))
		d.shell(t, n, `docker rm -f $(docker ps -aq) 2>/dev/null || true; failover-notify release || true`)
	}
	d.await(t, func() string {
		for _, n := range d.Lab.Nodes {
			if s := d.state(t, n); s.Role.Role == state.RoleActive && s.Current() {
				d.active, d.standby = n, d.Other(n)
				return ""
			}
		}
		return "an active node: " + d.state(t, d.A).String() + "; " + d.state(t, d.B).String()
	})
	// Writes lost on the way say nothing about the next scenario.
	for _, name := range d.Line.Projects {
		for _, a := range d.Line.Answers(name) {
			d.lost[a.ID] = true
		}
	}
	clear(d.tail)
	d.heal(t)
	done = true
	t.Logf("both nodes booted anew in %.1f s", time.Since(d.began).Seconds())
}
