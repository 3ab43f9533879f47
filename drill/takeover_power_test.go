//go:build drill

package drill

import (
	"context"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/drill/report"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// cablePulled cuts the active node off: it must notice and stop before the
// standby starts.
func cablePulled(t *testing.T, d *takeover) {
	node, cut := d.active, time.Now()
	d.must(t, node.CutNetwork(d.ctx, lab.Both))
	d.moved(t, cut, afterCrash)
	d.idle(t, node)
	d.must(t, node.RestoreNetwork(d.ctx))
	d.stays(t, 4*time.Second)
}

// primaryActive moves the services to the node with the higher priority.
func (d *takeover) primaryActive(t *testing.T) {
	t.Helper()
	if d.active == d.A {
		return
	}
	d.endKeepalived(t, d.active)
	d.active, d.standby = d.standby, d.active
	d.serves(t)
	d.judge(t)
	d.heal(t)
}

// powerPulled cuts the power of the primary. When it returns, with a higher
// priority and containers that always restart, nothing moves and none of its
// services run.
func powerPulled(t *testing.T, d *takeover) {
	d.primaryActive(t)
	node := d.active
	d.inLogOnly(t)
	pulled := time.Now()
	d.must(t, d.PullPlug(d.ctx, node))
	d.moved(t, pulled, afterCrash)
	d.returns(t, node)
	if s := d.state(t, node); s.Shown || !s.Current() || s.Role.Role == state.RoleActive {
		t.Errorf("with data that is old, %s is %s", node.Name(), s)
	}
}

// inLogOnly waits until acknowledged writes are in ZFS's intent log alone. No
// snapshot has them before the dataset is mounted again.
func (d *takeover) inLogOnly(t *testing.T) {
	if Kind() != lab.VM {
		return // the simulator has no such log
	}
	d.shell(t, d.active, `echo 300 >/sys/module/zfs/parameters/zfs_txg_timeout; zpool sync "$1"`, Pool)
	from := time.Now()
	d.await(t, func() string {
		for _, name := range d.Line.Projects {
			written := 0
			for _, a := range d.Line.Since(from).Answers(name) {
				if a.OK {
					written++
				}
			}
			if written < 4 {
				return "writes of " + name
			}
		}
		return ""
	})
}

// returns starts a former active node and checks that it takes nothing back.
func (d *takeover) returns(t *testing.T, node lab.Node) {
	t.Helper()
	began := time.Now()
	d.must(t, node.Start(d.ctx))
	d.booted(t, node)
	d.stays(t, 5*time.Second)
	for _, s := range d.Line.Since(began).Of(node.Name()) {
		if s.Writer() || s.Address {
			t.Errorf("back again, %s has at %s: %s (address: %v)", node.Name(), report.Clock(s.Sent), report.Activity(s), s.Address)
			break
		}
	}
}

// revived is a node whose Docker starts containers at boot, since the option
// that packaging/systemd suggests is missing. They run for moments, which only
// Docker could prevent, but never with writable data.
func revived(t *testing.T, d *takeover) {
	node := d.active
	d.must(t, lab.SetService(d.ctx, node, lab.DockerService(20)))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		d.must(t, setServices(ctx, node))
	})
	pulled := time.Now()
	d.must(t, d.PullPlug(d.ctx, node))
	d.moved(t, pulled, afterCrash)
	d.judge(t)
	began := time.Now()
	d.must(t, node.Start(d.ctx))
	d.booted(t, node)
	d.idle(t, node)
	d.stays(t, 4*time.Second)
	var ran time.Duration
	for _, s := range d.Line.Since(began).Of(node.Name()) {
		if len(s.Writable) > 0 || s.Address {
			t.Fatalf("%s has at %s: %s (address: %v)", node.Name(), report.Clock(s.Sent), report.Activity(s), s.Address)
		}
		if s.Writer() {
			ran = s.Received.Sub(began)
		}
	}
	t.Logf("the last of what Docker had revived ended %.1f s after the start", ran.Seconds())
	if ran == 0 {
		t.Error("Docker has revived nothing, so this shows nothing")
	}
	d.began = time.Now()
}

// powerPulledPortLate is a switch that forwards nothing for the first ten
// seconds of the returning node.
func powerPulledPortLate(t *testing.T, d *takeover) {
	d.primaryActive(t)
	node, pulled := d.active, time.Now()
	d.must(t, d.PullPlug(d.ctx, node))
	d.moved(t, pulled, afterCrash)
	d.must(t, node.CutNetwork(d.ctx, lab.Both))
	d.must(t, node.Start(d.ctx))
	d.booted(t, node)
	d.stays(t, 10*time.Second)
	d.must(t, node.RestoreNetwork(d.ctx))
	d.stays(t, 6*time.Second)
	d.idle(t, node)
}

// coldBoot cuts the power of both nodes; the standby boots first. The node that
// was active last serves again, with every acknowledged write.
func coldBoot(t *testing.T, d *takeover) {
	d.must(t, d.each(func(n lab.Node) error { return d.PullPlug(d.ctx, n) }))
	began := time.Now()
	d.must(t, d.each(func(n lab.Node) error {
		if n == d.active {
			time.Sleep(200 * time.Millisecond)
		}
		return n.Start(d.ctx)
	}))
	d.booted(t, d.active)
	d.booted(t, d.standby)
	d.serves(t)
	for _, s := range d.Line.Since(began).Of(d.standby.Name()) {
		if s.Writer() || s.Address {
			t.Errorf("%s, which was no longer up to date, has at %s: %s (address: %v)", d.standby.Name(), report.Clock(s.Sent), report.Activity(s), s.Address)
			break
		}
	}
	t.Logf("everything answered %.1f s after the power was back", time.Since(began).Seconds())
}

// promotionFails blocks the mount points of the standby: it releases the
// virtual IP and stays out, and nothing moves back and forth.
func promotionFails(t *testing.T, d *takeover) {
	from, to := d.active, d.standby
	block := `zfs unmount "$1" 2>/dev/null || true; rm -rf /"$1"; touch /"$1"`
	d.shell(t, to, block, Apps)
	d.afterwards(t, to, `[ -d /`+Apps+` ] || rm -f /`+Apps)
	term := d.state(t, from).Role.Term
	d.endKeepalived(t, from)
	d.awaitState(t, to, "a promotion that failed", func(s NodeState) bool {
		return !s.Shown && s.Role.Role == state.RoleFault && len(s.Eligibility.Reasons) > 0 && s.Eligibility.Reasons[0].Kind == state.IneligiblePromotion
	})
	d.must(t, lab.StartService(d.ctx, from, "keepalived"))
	d.serves(t)
	d.stays(t, 6*time.Second)
	if s := d.state(t, to); s.Role.Term != term+1 || s.Shown {
		t.Errorf("after term %d, %s is %s: it was promoted more than once, or not at all", term, to.Name(), s)
	}
	d.shell(t, to, `rm -f /"$1"`, Apps)
}
