//go:build drill

package drill

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/lease/leasetest"
)

const (
	// etcdAt is where the lab itself is in the nodes' network.
	etcdAt = "http://10.77.0.1:2379"
	// leaseTTL and leaseMargin are the lease's times.
	leaseTTL, leaseMargin = 10 * time.Second, 5 * time.Second
)

// leased is a site whose nodes need a lease of an etcd that is none of them.
type leased struct {
	three
	etcd *exec.Cmd
	dir  string
}

// TestLease goes through what may come between a node and its lease.
func TestLease(t *testing.T) {
	if Kind() == lab.VM {
		t.Log("the lease is tried in the lab of kind ns: nothing about it depends on the kernel")
		return
	}
	leasetest.Missing(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	d := &leased{dir: t.TempDir()}
	d.takeover = newSite(t, ctx, SiteOptions{
		Configure: func(c Config) {
			// No other witness: it is the lease that decides.
			c.Set("witness", Config{"etcd": Config{"endpoints": []any{etcdAt}, "ttl": leaseTTL.String(), "margin": leaseMargin.String(), "timeout": "1s"}})
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
	} {
		ok := t.Run(s.name, func(t *testing.T) {
			d.ctx, d.name, d.began = ctx, s.name, time.Now()
			defer func() {
				if t.Failed() {
					d.explainAll(t)
				}
			}()
			s.do(t, d)
			d.onlyOneWrites(t)
			t.Logf("%.1f s", time.Since(d.began).Seconds())
		})
		if !ok {
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

// holder is what a node says of the lease.
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
	if took := d.unserved(asked); took >= leaseTTL {
		t.Errorf("nothing served for %.1f s: the lease was waited for", took.Seconds())
	}
	if after := d.state(t, d.B).Role.Term; after <= before {
		t.Errorf("term %d after %d", after, before)
	}
	d.sends(t)
	d.standsBy(t, d.A)
}

// unserved is the longest time since a moment in which an application did not
// answer.
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
