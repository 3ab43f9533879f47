package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/drill"
	"github.com/understudy-ha/understudy/drill/observe"
	drillreport "github.com/understudy-ha/understudy/drill/report"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// takeover is what is remembered of the second half.
type takeover struct {
	replicated time.Time // when the last replication began
	pulled     time.Time
}

// start boots what a real pair boots: docker, failover-notify and keepalived,
// on both nodes.
func (d *demo) start(ctx context.Context) error {
	d.step("Traefik and applications start, with keepalived on both nodes")
	if err := d.site.Reconfigure(ctx, nil); err != nil {
		return err
	}
	began := time.Now()
	if err := d.site.StartServices(ctx); err != nil {
		return err
	}
	if err := d.await(ctx, func() string { return d.serves("a", began) }); err != nil {
		return err
	}
	if err := d.awaitRole(ctx, d.site.A, state.RoleActive); err != nil {
		return err
	}
	d.done("a has the virtual IP and serves; b waits until it is up to date")
	return nil
}

// write lets the clients write for a while, replicates, and goes on.
func (d *demo) write(ctx context.Context) error {
	d.step("Clients write notes to the applications, at " + drill.VirtualIP)
	if err := d.await(ctx, func() string { return d.notes(20) }); err != nil {
		return err
	}
	d.takeover.replicated = time.Now()
	o, err := d.run(ctx)
	if err != nil {
		return err
	}
	// A node that has not heard of a's term stands back until then.
	if err := d.awaitRole(ctx, d.site.B, state.RoleStandby); err != nil {
		return err
	}
	d.say("b has received it, and may take over from now on")
	d.done("%s", sum(o))
	return nil
}

// pull takes the power of the active node away.
func (d *demo) pull(ctx context.Context) error {
	d.step("The plug of a is pulled")
	d.takeover.pulled = time.Now()
	if err := d.site.PullPlug(ctx, d.site.A); err != nil {
		return err
	}
	d.say("%s a is off, in the middle of its work: nothing could be said or saved", d.styled(red, "✂"))
	var m drillreport.Moments
	err := d.await(ctx, func() (missing string) {
		m, missing = d.site.Line.Moments(d.takeover.pulled, "b")
		return missing
	})
	if err != nil {
		// Soon the nodes are gone, with all that would explain it.
		status, statusErr := drill.Shell(ctx, d.site.B, `failover-notify status 2>&1 || true; docker ps -a 2>&1; tail -n 20 /var/log/lab/watch.log`)
		return errors.Join(fmt.Errorf("%w\nwhat b says of itself:\n%s", err, status), statusErr)
	}
	if err := d.awaitRole(ctx, d.site.B, state.RoleActive); err != nil {
		return err
	}
	d.done("all applications answer again, from b, after %s", d.styled(green, fmt.Sprintf("%.1f s", m.Projects.Seconds())))
	return nil
}

// check compares what a acknowledged with what b has.
func (d *demo) check(ctx context.Context) error {
	d.step("Every note that b could have is there")
	text, err := drill.Shell(ctx, d.site.B, `cat /"$1"/*/log`, drill.Apps)
	if err != nil {
		return fmt.Errorf("read the notes on b: %w", err)
	}
	there := map[string]bool{}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 {
			there[fields[1]] = true
		}
	}
	before, after, missing := 0, 0, 0
	for _, a := range d.acknowledged("a") {
		switch {
		case !there[a.ID] && a.Received.Before(d.takeover.replicated):
			missing++
		case !there[a.ID]:
			after++
		default:
			before++
		}
	}
	if missing > 0 || before == 0 {
		return fmt.Errorf("%d notes that were acknowledged before the last replication are not on b, %d are", missing, before)
	}
	d.say("%d notes were acknowledged up to the last replication: b has %s", before, d.styled(green, "all of them"))
	d.done("%d of the last %s are on a's disk, and kept when a returns", after, report.Duration(d.takeover.pulled.Sub(d.takeover.replicated)))
	return nil
}

// acknowledged are the notes that applications on a node have acknowledged.
func (d *demo) acknowledged(node string) []observe.Answer {
	var list []observe.Answer
	for _, name := range drill.Applications(d.site.Lab.Kind()) {
		list = append(list, slices.DeleteFunc(d.site.Line.Answers(name), func(a observe.Answer) bool { return !a.OK || a.Node != node })...)
	}
	return list
}

// notes names how many notes are missing to that number.
func (d *demo) notes(want int) string {
	if have := len(d.acknowledged("a")); have < want {
		return fmt.Sprintf("notes: %d of %d were acknowledged", have, want)
	}
	return ""
}

// serves names what does not answer on a node since a moment.
func (d *demo) serves(node string, since time.Time) string {
	seen := d.site.Line.Since(since)
	if s, ok := seen.Last(node); !ok || !s.Address {
		return "the address on " + node
	}
	for _, name := range drill.Applications(d.site.Lab.Kind()) {
		if !slices.ContainsFunc(seen.Answers(name), func(a observe.Answer) bool { return a.OK && a.Node == node }) {
			return "an answer of " + name + " on " + node
		}
	}
	return ""
}

// patience is how long something may take before it counts as not happening.
func patience(kind lab.Kind) time.Duration {
	if kind == lab.VM {
		return 5 * time.Minute
	}
	return time.Minute
}

// await waits until nothing is missing any more.
func (d *demo) await(ctx context.Context, missing func() string) error {
	limit := patience(d.site.Lab.Kind())
	deadline := time.After(limit)
	for {
		what := missing()
		if what == "" {
			return nil
		}
		if err := d.site.Watched(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			return fmt.Errorf("missing after %s: %s", limit, what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// awaitRole waits until a node has recorded that it is what it should be.
func (d *demo) awaitRole(ctx context.Context, n lab.Node, role state.Role) error {
	var failed error
	err := d.await(ctx, func() string {
		s, err := drill.ReadState(ctx, n)
		if err != nil {
			failed = err
			return ""
		}
		if s.Role.Role == role && s.Current() && s.Shown {
			return ""
		}
		return fmt.Sprintf("node %s as %s: it is %s", n.Name(), role, s)
	})
	if failed != nil {
		return failed
	}
	return err
}
