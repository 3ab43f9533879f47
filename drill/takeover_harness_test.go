//go:build drill

package drill

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/drill/observe"
	"github.com/understudy-ha/understudy/drill/report"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// takeover is the site under test.
type takeover struct {
	*Site
	ctx             context.Context
	name            string    // of the scenario
	began           time.Time // when it began
	active, standby lab.Node

	results  []report.Result
	measured measured
	// replicated is the start of the last successful replication: both nodes
	// have every write acknowledged before it.
	replicated time.Time
	lost       map[string]bool // writes that were lost with the node that had them
	gone       int             // how many they are
	tail       map[string]bool // those of which it is not known yet that their node has kept them
}

// patience is the time after which a takeover counts as not happening.
func patience() time.Duration {
	if Kind() == lab.VM {
		return 6 * time.Minute
	}
	return 40 * time.Second
}

// recent is the largest age of answers that show what answers now.
func recent() time.Duration {
	if Kind() == lab.VM {
		return 10 * time.Second
	}
	return time.Second
}

func (d *takeover) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *takeover) shell(t *testing.T, n lab.Node, script string, args ...string) string {
	t.Helper()
	text, err := Shell(d.ctx, n, script, args...)
	d.must(t, err)
	return text
}

func (d *takeover) state(t *testing.T, n lab.Node) NodeState {
	t.Helper()
	s, err := ReadState(d.ctx, n)
	d.must(t, err)
	return s
}

// afterwards runs a script when the scenario ends, whether it passes or fails.
func (d *takeover) afterwards(t *testing.T, n lab.Node, script string, args ...string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := Shell(ctx, n, script, args...); err != nil {
			t.Log(err) // the node may well be off
		}
	})
}

// await waits until nothing is missing.
func (d *takeover) await(t *testing.T, missing func() string) {
	t.Helper()
	began := time.Now()
	for {
		what := missing()
		if what == "" {
			return
		}
		if d.ctx.Err() != nil || time.Since(began) > patience() {
			t.Fatalf("missing after %.0f s: %s", time.Since(began).Seconds(), what)
		}
		if err := d.Watched(); err != nil {
			t.Fatal(err)
		}
		pause := 50 * time.Millisecond
		if Kind() == lab.VM {
			pause = time.Second // looking costs what is being waited for
		}
		time.Sleep(pause)
	}
}

// awaitState waits until a node has recorded a certain state.
func (d *takeover) awaitState(t *testing.T, n lab.Node, what string, is func(NodeState) bool) {
	t.Helper()
	d.await(t, func() string {
		s := d.state(t, n)
		if is(s) {
			return ""
		}
		return fmt.Sprintf("%s: %s is %s", what, n.Name(), s)
	})
}

// moved waits until the standby has taken over, records the times since the
// fault, and exchanges active and standby. With a goal above 0 the virtual IP
// must move in that time, except on emulated machines.
func (d *takeover) moved(t *testing.T, fault time.Time, goal time.Duration) {
	t.Helper()
	var m report.Moments
	d.await(t, func() (missing string) {
		m, missing = d.Line.Moments(fault, d.standby.Name())
		return missing
	})
	d.measured.took(fault, m)
	t.Logf("address after %.2f s, Traefik after %.2f s, all projects after %.2f s", m.Address.Seconds(), m.Traefik.Seconds(), m.Projects.Seconds())
	// The observer asks ten times a second: the last question before the
	// virtual IP arrived counts.
	if goal > 0 && m.Earliest > goal && Kind() == lab.NS {
		t.Errorf("the address was not there after %.2f s, the goal is %.2f s", m.Earliest.Seconds(), goal.Seconds())
	}
	d.active, d.standby = d.standby, d.active
	d.awaitState(t, d.active, "the role", func(s NodeState) bool { return s.Role.Role == state.RoleActive && s.Current() })
}

// stays checks that for a while the active node keeps the virtual IP and
// everything answers there without interruption.
func (d *takeover) stays(t *testing.T, while time.Duration) {
	t.Helper()
	from := time.Now()
	time.Sleep(while) // that nothing happens can't be waited for
	seen := d.Line.Since(from)
	for _, s := range seen.Of(d.standby.Name()) {
		if s.Address || s.Writer() {
			t.Fatalf("%s has the address or writes at %s: %s", s.Node, report.Clock(s.Sent), report.Activity(s))
		}
	}
	for _, s := range seen.Of(d.active.Name()) {
		if !s.Address {
			t.Fatalf("%s does not have the address at %s", s.Node, report.Clock(s.Sent))
		}
	}
	d.await(t, func() string { return d.unanswered(time.Now().Add(-recent())) })
}

// unanswered names a target that has not answered on the active node since a
// moment.
func (d *takeover) unanswered(from time.Time) string {
	seen := d.Line.Since(from)
	for _, target := range append([]string{"traefik"}, d.Line.Projects...) {
		ok := false
		for _, a := range seen.Answers(target) {
			ok = ok || a.OK && (a.Node == "" || a.Node == d.active.Name())
		}
		if !ok {
			return "an answer of " + target + " on " + d.active.Name()
		}
	}
	return ""
}

// serves waits until the active node has the virtual IP and everything answers.
func (d *takeover) serves(t *testing.T) {
	t.Helper()
	d.await(t, func() string {
		s, ok := d.Line.Last(d.active.Name())
		if !ok || !s.Address {
			return "the address on " + d.active.Name() + ": " + d.state(t, d.active).String()
		}
		// A project that is not observed would not be missed on the other node.
		if len(s.Running) != len(d.Line.Projects)+1 || len(s.Writable) != len(d.Line.Projects)+1 {
			return "everything on " + d.active.Name() + ": " + report.Activity(s)
		}
		return d.unanswered(time.Now().Add(-recent()))
	})
	d.awaitState(t, d.active, "the role", func(s NodeState) bool { return s.Role.Role == state.RoleActive && s.Current() })
}

// idle waits until a node neither writes nor has the virtual IP.
func (d *takeover) idle(t *testing.T, n lab.Node) {
	t.Helper()
	began := time.Now()
	d.await(t, func() string {
		s, ok := d.Line.Since(began).Last(n.Name())
		if ok && !s.Writer() && !s.Address {
			return ""
		}
		return fmt.Sprintf("%s at rest: %s, %s", n.Name(), report.Activity(s), d.state(t, n))
	})
}

// judge checks the promises for all observations of the scenario: one writer at
// a time, and no acknowledged write is lost but those that a takeover may lose.
func (d *takeover) judge(t *testing.T) {
	t.Helper()
	d.must(t, d.Watched())
	if proof := d.Line.Since(d.began).TwoWriters(d.A.Name(), d.B.Name()); proof != "" {
		t.Errorf("two writers: %s", proof)
	}
	var acked []observe.Answer
	for _, name := range d.Line.Projects {
		for _, a := range d.Line.Answers(name) {
			if a.OK {
				acked = append(acked, a)
			}
		}
	}
	present := writesIn(d.shell(t, d.active, `cat /"$1"/*/log`, Apps))
	var missing []observe.Answer
	gone := 0
	for _, a := range acked {
		switch {
		case present[a.ID] || d.lost[a.ID]:
		case a.Node != d.active.Name() && a.Received.After(d.replicated):
			// Replication is asynchronous: writes that the other node
			// acknowledged after the last run started may exist there alone.
			d.lost[a.ID], d.tail[a.ID] = true, true
			gone++
		default:
			missing = append(missing, a)
		}
	}
	for _, a := range missing {
		d.measured.misses(a.ID)
	}
	if len(missing) > 0 {
		t.Errorf("%d acknowledged writes are not on %s, the first: %+v", len(missing), d.active.Name(), missing[0])
	}
	d.gone += gone
	if gone > 0 {
		t.Logf("%d writes since the last replication stayed on the other node alone", gone)
	}
}

// lostNothing is judge after a planned move: the new node has every
// acknowledged write.
func (d *takeover) lostNothing(t *testing.T) {
	t.Helper()
	before := d.gone
	d.judge(t)
	if n := d.gone - before; n > 0 {
		t.Errorf("%d acknowledged writes were lost by a move that was planned", n)
	}
}

// explain prints the known facts after a failed scenario.
func (d *takeover) explain(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	t.Logf("what was seen since the scenario began:\n%s", d.Line.Since(d.began).Story(d.A.Name(), d.B.Name()))
	for _, n := range d.Lab.Nodes {
		text, err := Shell(ctx, n, `cat /var/lib/understudy/role.json /var/lib/understudy/intent.json /var/lib/understudy/eligibility.json || true
			for f in /var/log/understudy.log /var/log/lab/watch.log /var/log/lab/join.log /var/log/lab/fence.log /var/log/lab/keepalived.log; do echo "--- $f"; tail -n 40 "$f" 2>&1 || true; done
			echo '--- docker'; timeout 3 docker ps -a 2>&1 || true; cat /run/understudy/probe.json 2>&1 || true`)
		console, _ := os.ReadFile(n.Console())
		t.Logf("%s: %v\n%s\n--- console\n%s", n.Name(), err, text, console[max(0, len(console)-1500):])
	}
}
