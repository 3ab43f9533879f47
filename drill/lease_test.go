//go:build drill

package drill

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/lease/leasetest"
	"github.com/understudy-ha/understudy/pkg/state"
)

// etcdAt is the address of the lab itself in the nodes' network.
const etcdAt = "http://10.77.0.1:2379"

// leaseTimes are the lease's times. A switchover must not wait for the end of
// the lease. It takes two emulated machines more than a minute, most of it for
// the start of the containers.
func leaseTimes() (ttl, margin, timeout time.Duration) {
	if Kind() == lab.VM {
		return 150 * time.Second, 75 * time.Second, 5 * time.Second
	}
	return 10 * time.Second, 5 * time.Second, time.Second
}

// leased is a site whose nodes need a lease from an etcd on another machine.
type leased struct {
	three
	etcd *exec.Cmd
	dir  string
	ttl  time.Duration
}

// TestLease covers the failures between a node and its lease.
func TestLease(t *testing.T) {
	if Kind() == lab.VM && os.Getenv("UNDERSTUDY_TAKEOVER") == "" {
		t.Log("as the takeovers, this is run by itself on virtual machines: make takeover LAB=vm")
		return
	}
	leasetest.Missing(t)
	ctx, cancel := context.WithTimeout(t.Context(), atMost(8*time.Minute))
	defer cancel()
	d := &leased{dir: t.TempDir()}
	ttl, margin, timeout := leaseTimes()
	d.ttl = ttl
	d.takeover = newSite(t, ctx, SiteOptions{
		Configure: func(c Config) {
			// No other witness: the lease decides.
			c.Set("witness", Config{"etcd": Config{"endpoints": []any{etcdAt}, "ttl": ttl.String(), "margin": margin.String(), "timeout": timeout.String()}})
		},
		Ready: func(s *Site) error {
			d.takeover = &takeover{Site: s, ctx: ctx}
			return d.startEtcd(t)
		},
	})
	for _, s := range []struct {
		name string
		do   func(*testing.T, *leased)
	}{
		{"the active node has the lease", hasLease},
		{"switchover", leaseHandedOver},
		{"the nodes don't see each other", nodesApart},
		{"the active node loses etcd", losesEtcd},
		{"etcd is down", etcdDown},
	} {
		if !d.part(t, ctx, s.name, func(t *testing.T) { s.do(t, d) }) {
			return
		}
	}
}

// startEtcd starts etcd in the lab's network; it ends with the lab.
func (d *leased) startEtcd(t *testing.T) error {
	d.etcd = d.Lab.Command(context.Background(), leasetest.Args(d.dir, etcdAt, "http://10.77.0.1:2380")...)
	one := d.etcd
	t.Cleanup(func() {
		_ = one.Process.Kill()
		_ = one.Wait() // it was killed
	})
	return one.Start()
}

// holder is the lease in a node's status.
func (d *leased) holder(t *testing.T, n lab.Node) string {
	t.Helper()
	for line := range strings.Lines(d.shell(t, n, `failover-notify status --local`)) {
		if rest, found := strings.CutPrefix(line, "lease"); found {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func hasLease(t *testing.T, d *leased) {
	d.sends(t)
	d.standsBy(t, d.B)
	if text := d.holder(t, d.A); !strings.HasPrefix(text, "held here") {
		t.Errorf("a says of the lease: %q", text)
	}
	if text := d.holder(t, d.B); !strings.HasPrefix(text, "held by a") {
		t.Errorf("b says of the lease: %q", text)
	}
	if term := d.state(t, d.A).Role.Term; term < 2 {
		t.Errorf("term %d does not come from etcd", term)
	}
}

// leaseHandedOver is a switchover: the lease moves with the role, at once.
func leaseHandedOver(t *testing.T, d *leased) {
	before := d.state(t, d.A).Role.Term
	asked := time.Now()
	t.Log(strings.TrimSpace(d.shell(t, d.active, `failover-notify switchover`)))
	d.takesOver(t, d.B, asked)
	d.has(t, time.Now())
	if took := d.unserved(asked); took >= d.ttl {
		t.Errorf("nothing served for %.1f s: the lease was waited for", took.Seconds())
	}
	if after := d.state(t, d.B).Role.Term; after <= before {
		t.Errorf("term %d after %d", after, before)
	}
	d.sends(t)
	d.standsBy(t, d.A)
}

// unserved returns the longest time since a moment in which an application did
// not answer.
func (d *leased) unserved(from time.Time) time.Duration {
	longest := time.Duration(0)
	for _, name := range d.Line.Projects {
		last := from
		for _, a := range d.Line.Since(from).Answers(name) {
			if a.OK {
				longest = max(longest, a.Received.Sub(last))
				last = a.Received
			}
		}
	}
	return longest
}

// nodesApart cuts the nodes off from each other alone: both reach etcd. The
// standby gets the virtual IP and nothing else; the active node keeps serving.
func nodesApart(t *testing.T, d *leased) {
	active, standby := d.active, d.B
	if active == d.B {
		standby = d.A
	}
	term := d.state(t, active).Role.Term
	for _, n := range []lab.Node{active, standby} {
		d.afterwards(t, n, `nft delete table ip apart 2>/dev/null || true`)
	}
	for _, n := range []lab.Node{active, standby} {
		d.shell(t, n, `nft "table ip apart {
			chain in { type filter hook input priority 0; ip saddr $1 drop; }
			chain out { type filter hook output priority 0; ip daddr $1 drop; }
		}"`, d.Other(n).Address())
	}
	d.awaitState(t, standby, "a promotion that is refused", func(s NodeState) bool {
		return s.Role.Role == state.RoleFault && s.Current() && strings.Contains(s.Role.Reason, "the lease is held by "+active.Name())
	})
	d.neverWrote(t, standby)
	for _, n := range []lab.Node{active, standby} {
		d.shell(t, n, `nft delete table ip apart`)
	}
	d.standsBy(t, standby)
	d.serves(t)
	if s := d.state(t, active); s.Role.Term != term {
		t.Errorf("%s is %s, under another term than %d", active.Name(), s, term)
	}
}

// losesEtcd cuts the active node off from everything. It stops before another
// node can hold the lease; then the standby takes over.
func losesEtcd(t *testing.T, d *leased) {
	from, to := d.active, d.Other(d.active)
	cut := time.Now()
	d.must(t, from.CutNetwork(d.ctx, lab.Both))
	d.takesOver(t, to, cut)
	stopped := d.stopped(t, from, cut)
	t.Logf("%s had stopped %.2f s after it was cut off", from.Name(), stopped.Seconds())
	if stopped > d.ttl {
		t.Errorf("%s could write %.2f s after it was cut off: the lease lasts %s", from.Name(), stopped.Seconds(), d.ttl)
	}
	if reason := d.state(t, from).Role; !strings.Contains(reason.Transition.Reason+reason.Reason, "lease") && reason.Role != state.RoleFault {
		t.Errorf("%s does not say why: %+v", from.Name(), reason)
	}
	d.must(t, from.RestoreNetwork(d.ctx))
	d.idle(t, from)
	d.shell(t, from, `zfs-replicate rejoin --yes >&2`)
	d.sends(t)
	d.standsBy(t, from)
}

// etcdDown ends etcd itself: no node is active until etcd returns; then a node
// takes over without help.
func etcdDown(t *testing.T, d *leased) {
	active, ended := d.active, time.Now()
	d.must(t, d.etcd.Process.Kill())
	d.idle(t, active)
	if stopped := d.stopped(t, active, ended); stopped > d.ttl {
		t.Errorf("%s could write %.2f s after etcd had ended: the lease lasts %s", active.Name(), stopped.Seconds(), d.ttl)
	}
	for _, n := range d.Lab.Nodes {
		if s := d.state(t, n); s.Role.Role == state.RoleActive && s.Current() {
			t.Errorf("%s is %s without etcd", n.Name(), s)
		}
	}
	d.must(t, d.startEtcd(t))
	d.await(t, func() string {
		for _, n := range d.Lab.Nodes {
			if s := d.state(t, n); s.Role.Role == state.RoleActive && s.Current() {
				d.active = n
				return ""
			}
		}
		return "an active node: " + d.state(t, d.A).String() + "; " + d.state(t, d.B).String()
	})
	d.serves(t)
}
