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

// takeover holds the state of the second half.
type takeover struct {
	replicated time.Time // when the last replication began
	pulled     time.Time
}

// start boots the services of a real pair, docker, failover-notify and
// keepalived, on both nodes.
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
	d.done("a has the virtual IP and serves; b has no data yet")
	return nil
}

// write lets the clients write for a while, replicates, and writes more.
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
	// A node that has not heard of a's term stays back until then.
	if err := d.awaitRole(ctx, d.site.B, state.RoleStandby); err != nil {
		return err
	}
	d.say("b has received the data and is eligible")
	d.done("%s", sum(o))
	return nil
}

// pull cuts the power of the active node.
func (d *demo) pull(ctx context.Context) error {
	d.step("Node a loses power")
	d.takeover.pulled = time.Now()
	if err := d.site.PullPlug(ctx, d.site.A); err != nil {
		return err
	}
	d.say("%s a is off in the middle of its work, without warning", d.styled(red, "✂"))
	var m drillreport.Moments
	err := d.await(ctx, func() (missing string) {
		m, missing = d.site.Line.Moments(d.takeover.pulled, "b")
		return missing
	})
	if err != nil {
		// The nodes, and every explanation with them, are removed soon.
		status, statusErr := drill.Shell(ctx, d.site.B, `failover-notify status 2>&1 || true; docker ps -a 2>&1; tail -n 20 /var/log/lab/watch.log`)
		return errors.Join(fmt.Errorf("%w\nstatus of b:\n%s", err, status), statusErr)
	}
	if err := d.awaitRole(ctx, d.site.B, state.RoleActive); err != nil {
		return err
	}
	d.done("all applications answer again, on b, after %s", d.styled(green, fmt.Sprintf("%.1f s", m.Projects.Seconds())))
	return nil
}

// check compares the notes that a acknowledged with those on b.
func (d *demo) check(ctx context.Context) error {
	d.step("Every replicated note is on b")
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
		return fmt.Errorf("%d notes acknowledged before the last replication are missing on b, %d are there", missing, before)
	}
	d.say("%d notes were acknowledged up to the last replication: b has %s", before, d.styled(green, "all of them"))
	d.done("%d of the last %s are on a's disk, and preserved when a returns", after, report.Duration(d.takeover.pulled.Sub(d.takeover.replicated)))
	return nil
}

// acknowledged returns the notes that applications on a node acknowledged.
func (d *demo) acknowledged(node string) []observe.Answer {
	var list []observe.Answer
	for _, name := range drill.Applications(d.site.Lab.Kind()) {
		list = append(list, slices.DeleteFunc(d.site.Line.Answers(name), func(a observe.Answer) bool { return !a.OK || a.Node != node })...)
	}
	return list
}

// notes describes how many notes are missing to that number.
func (d *demo) notes(want int) string {
	if have := len(d.acknowledged("a")); have < want {
		return fmt.Sprintf("notes: %d of %d were acknowledged", have, want)
	}
	return ""
}

// serves names the first target that has not answered on a node since a moment.
func (d *demo) serves(node string, since time.Time) string {
	seen := d.site.Line.Since(since)
	if s, ok := seen.Last(node); !ok || !s.Address {
		return "the virtual IP on " + node
	}
	for _, name := range drill.Applications(d.site.Lab.Kind()) {
		if !slices.ContainsFunc(seen.Answers(name), func(a observe.Answer) bool { return a.OK && a.Node == node }) {
			return "an answer of " + name + " on " + node
		}
	}
	return ""
}

// patience is the time after which an expected event counts as missing.
func patience(kind lab.Kind) time.Duration {
	if kind == lab.VM {
		return 5 * time.Minute
	}
	return time.Minute
}

// await waits until nothing is missing.
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

// awaitRole waits until a node has recorded the role.
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
