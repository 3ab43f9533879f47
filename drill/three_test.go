//go:build drill

package drill

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/drill/report"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// three is a site with two standbys.
type three struct{ *takeover }

// TestThreeNodes covers one active node with two standbys.
func TestThreeNodes(t *testing.T) {
	if Kind() == lab.VM && os.Getenv("UNDERSTUDY_TAKEOVER") == "" {
		t.Log("as the takeovers, this is run by itself on virtual machines: make takeover LAB=vm")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), atMost(8*time.Minute))
	defer cancel()
	d := three{newSite(t, ctx, SiteOptions{Nodes: []string{"a", "b", "c"}})}
	for _, s := range []struct {
		name string
		do   func(*testing.T, three)
	}{
		{"both standbys receive", bothReceive},
		{"the fresher of two takes over", fresherTakesOver},
		{"the first node returns", firstReturns},
		{"switchover past the one that comes first", switchoverPast},
		{"planned stop", plannedStopOfThree},
		{"the fresher one is held, and rejoins", fresherHeld},
	} {
		if !d.part(t, ctx, s.name, func(t *testing.T) { s.do(t, d) }) {
			return // each continues from the state of the one before
		}
	}
}

// newSite makes a site and waits until its first node is active.
func newSite(t *testing.T, ctx context.Context, o SiteOptions) *takeover {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the drill makes network namespaces, which needs root: sudo make drill")
	}
	programs, err := BuildSite(ctx, Kind(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o.Kind, o.Programs, o.Log = Kind(), programs, os.Stderr
	s, err := SiteUp(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Down(); err != nil {
			t.Error(err)
		}
	})
	d := &takeover{Site: s, ctx: ctx, name: "first start", began: time.Now(), active: s.A, standby: s.B, lost: map[string]bool{}, tail: map[string]bool{},
		measured: measured{missing: map[string]bool{}}}
	done := false
	defer func() {
		if !done {
			d.explain(t)
		}
	}()
	d.must(t, s.StartServices(ctx))
	d.serves(t)
	done = true
	return d
}

// part runs one scenario and judges it; it returns false after a failure.
func (d three) part(t *testing.T, ctx context.Context, name string, do func(*testing.T)) bool {
	return t.Run(name, func(t *testing.T) {
		d.begins(t, ctx, name)
		d.measured.partly = true
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("of all nodes:\n%s", d.Line.Since(d.began).Story(d.names()...))
			}
		})
		do(t)
		d.onlyOneWrites(t)
		t.Logf("%.1f s", time.Since(d.began).Seconds())
	})
}

// onlyOneWrites checks every pair of nodes since the scenario began.
func (d three) onlyOneWrites(t *testing.T) {
	t.Helper()
	d.must(t, d.Watched())
	seen := d.Line.Since(d.began)
	for i, one := range d.Lab.Nodes {
		for _, other := range d.Lab.Nodes[i+1:] {
			if proof := seen.TwoWriters(one.Name(), other.Name()); proof != "" {
				t.Errorf("two writers: %s", proof)
			}
		}
	}
}

// sends replicates from the active node to all standbys, or to those named.
func (d three) sends(t *testing.T, to ...string) {
	t.Helper()
	var args []string
	for _, name := range to {
		args = append(args, "--to", name)
	}
	began := time.Now()
	o, err := StartRun(d.ctx, d.active, args...).Wait()
	d.must(t, err)
	if o.Code != 0 {
		t.Fatalf("replication from %s ended with code %d:\n%s", d.active.Name(), o.Code, o.Stderr)
	}
	d.replicated = began
}

// standsBy waits until a node is ready to take over.
func (d three) standsBy(t *testing.T, n lab.Node) {
	t.Helper()
	d.awaitState(t, n, "a standby that could take over", func(s NodeState) bool {
		return s.Role.Role == state.RoleStandby && s.Current() && s.Shown && s.Request.Requested == state.RequestBackup && s.Request.Boot == s.Boot
	})
}

// written waits until each application acknowledges a write from now on.
func (d three) written(t *testing.T) {
	t.Helper()
	from := time.Now()
	d.await(t, func() string { return d.unanswered(from) })
}

// takesOver waits until a node serves everything instead of the active one.
func (d three) takesOver(t *testing.T, n lab.Node, since time.Time) {
	t.Helper()
	var m report.Moments
	d.await(t, func() (missing string) {
		m, missing = d.Line.Moments(since, n.Name())
		return missing
	})
	d.measured.took(since, m)
	t.Logf("address on %s after %.2f s, Traefik after %.2f s, all projects after %.2f s", n.Name(), m.Address.Seconds(), m.Traefik.Seconds(), m.Projects.Seconds())
	d.active = n
	d.serves(t)
}

// has checks that the active node has every write acknowledged before a moment.
func (d three) has(t *testing.T, before time.Time) {
	t.Helper()
	present := writesIn(d.shell(t, d.active, `cat /"$1"/*/log`, Apps))
	acked, missing := 0, 0
	for _, name := range d.Line.Projects {
		for _, a := range d.Line.Since(d.began).Answers(name) {
			if !a.OK || !a.Received.Before(before) {
				continue
			}
			if acked++; !present[a.ID] {
				missing++
				d.measured.misses(a.ID)
			}
		}
	}
	d.measured.sought += acked
	if missing > 0 || acked == 0 {
		t.Errorf("of %d writes acknowledged since the scenario began, %d are not on %s", acked, missing, d.active.Name())
	}
}

// neverWrote checks that a node has neither written nor served.
func (d three) neverWrote(t *testing.T, n lab.Node) {
	t.Helper()
	for _, s := range d.Line.Since(d.began).Of(n.Name()) {
		if s.Writer() {
			t.Errorf("%s wrote at %s: %s", n.Name(), report.Clock(s.Sent), report.Activity(s))
			return
		}
	}
}

func (d three) c() lab.Node { return d.Lab.Nodes[2] }

func bothReceive(t *testing.T, d three) {
	d.written(t)
	d.sends(t)
	for _, n := range []lab.Node{d.B, d.c()} {
		d.standsBy(t, n)
	}
}

// fresherTakesOver cuts the power after a run to the node with the lowest
// priority alone. The other standby gets the virtual IP first, and leaves it.
func fresherTakesOver(t *testing.T, d three) {
	d.written(t)
	d.sends(t, d.c().Name())
	pulled := time.Now()
	d.must(t, d.PullPlug(d.ctx, d.A))
	d.takesOver(t, d.c(), pulled)
	d.neverWrote(t, d.B)
	d.has(t, d.replicated)
	// The third node follows the new active node.
	d.standsBy(t, d.B)
	d.sends(t, d.B.Name())
	d.standsBy(t, d.B)
}

// firstReturns is the former active node, with unreplicated changes: it takes
// nothing and rejoins.
func firstReturns(t *testing.T, d three) {
	d.must(t, d.A.Start(d.ctx))
	d.booted(t, d.A)
	d.idle(t, d.A)
	d.shell(t, d.A, `zfs-replicate rejoin --yes >&2`)
	d.sends(t)
	d.standsBy(t, d.A)
	d.neverWrote(t, d.A)
	d.serves(t)
}

// switchoverPast hands over to a node with a lower priority than the other
// standby.
func switchoverPast(t *testing.T, d three) {
	from, asked := d.active, time.Now()
	said := d.shell(t, from, `failover-notify switchover --to "$1"`, d.B.Name())
	t.Log(strings.TrimSpace(said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]))
	d.takesOver(t, d.B, asked)
	d.neverWrote(t, d.A)
	d.has(t, time.Now())
	d.sends(t)
	for _, n := range []lab.Node{d.A, from} {
		d.standsBy(t, n)
	}
}

// plannedStopOfThree is "systemctl stop keepalived": the first standby takes
// over.
func plannedStopOfThree(t *testing.T, d three) {
	stopped := d.active
	began := time.Now()
	d.must(t, lab.StopService(d.ctx, stopped, "keepalived"))
	d.takesOver(t, d.A, began)
	d.neverWrote(t, d.c())
	d.has(t, time.Now())
	d.must(t, lab.StartService(d.ctx, stopped, "keepalived"))
	d.sends(t)
	d.standsBy(t, stopped)
}

// fresherHeld is a held standby with newer data. The other standby takes over,
// so the first one has unreplicated changes, which it preserves.
func fresherHeld(t *testing.T, d three) {
	d.written(t)
	d.sends(t, d.c().Name())
	d.shell(t, d.c(), `failover-notify hold --reason drill`)
	pulled := time.Now()
	d.must(t, d.PullPlug(d.ctx, d.A))
	d.takesOver(t, d.B, pulled)
	o, err := StartRun(d.ctx, d.active, "--to", d.c().Name()).Wait()
	d.must(t, err)
	if o.Code == 0 || !strings.Contains(o.Stderr+d.shell(t, d.active, `zfs-replicate status || true`), "rejoin") {
		t.Errorf("what %s alone has is not said (code %d):\n%s", d.c().Name(), o.Code, o.Stderr)
	}
	d.shell(t, d.c(), `zfs-replicate rejoin --yes >&2`)
	if kept := d.shell(t, d.c(), `zfs list -H -o name -r "$1/understudy-kept"`, Pool); !strings.Contains(kept, "/") {
		t.Errorf("nothing is kept on %s: %q", d.c().Name(), kept)
	}
	d.sends(t, d.c().Name())
	d.shell(t, d.c(), `failover-notify release`)
	d.standsBy(t, d.c())
}
