package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/drill"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/report"
)

// run runs zfs-replicate on a, which must succeed.
func (d *demo) run(ctx context.Context) (drill.Outcome, error) {
	d.command("a", "zfs-replicate run")
	o, err := drill.StartRun(ctx, d.site.A).Wait()
	if err == nil && (o.Code != 0 || o.Result == nil) {
		err = fmt.Errorf("zfs-replicate run ended with code %d:\n%s", o.Code, o.Stderr)
	}
	return o, err
}

// count counts the datasets that a run handled in a certain way.
func count(o drill.Outcome, action plan.Action) int {
	n := 0
	for _, standby := range o.Result.Standbys {
		for _, item := range standby.Items {
			if item.Action == action {
				n++
			}
		}
	}
	return n
}

// sum describes a run in one line.
func sum(o drill.Outcome) string {
	var parts []string
	for _, a := range []plan.Action{plan.Full, plan.Resume, plan.Incremental, plan.Current} {
		if n := count(o, a); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, a))
		}
	}
	return fmt.Sprintf("%s; %s in %s, %d ssh session", strings.Join(parts, ", "), report.Bytes(o.Bytes()), report.Seconds(o.Result.Seconds), o.Result.Processes["ssh"])
}

// hex returns the start of a guid; two fit into a line.
func hex(guid string) string {
	n, err := strconv.ParseUint(guid, 10, 64)
	if err != nil {
		return "none"
	}
	return fmt.Sprintf("%016x", n)[:12]
}

// lines wraps a long line of another program.
func (d *demo) lines(text string) {
	for len(text) > 0 {
		part := text
		if len(part) > width-6 {
			part = part[:width-6]
			if i := strings.LastIndex(part, " "); i > 0 {
				part = part[:i]
			}
		}
		d.say("  %s", d.styled(dim, part))
		text = strings.TrimPrefix(text[len(part):], " ")
	}
}

// explain prints which parts were real, and what to try next.
func (d *demo) explain(ctx context.Context, kind lab.Kind, began time.Time) error {
	version, err := drill.Run(ctx, d.site.B, "zfs", "version") // a is off
	if err != nil {
		return fmt.Errorf("ask for the version of zfs: %w", err)
	}
	version, _, _ = strings.Cut(version, "\n")
	d.line("")
	if kind == lab.VM {
		d.field("Real", "everything: two virtual machines with their own kernel,")
		d.field("", version+", Docker, Traefik, keepalived, ssh")
	} else {
		d.field("Real", "two nodes with their own processes, files and network;")
		d.field("", "ssh, keepalived, Docker with Compose, every byte compared")
		d.field("Simulated", "zfs and zpool, by a program that keeps datasets as folders")
		d.field("", "and answers as OpenZFS 2.3 does; Traefik, by a small proxy")
	}
	d.field("Took", report.Duration(time.Since(began)))
	d.line("")
	if kind != lab.VM {
		d.field("Next", "LAB=vm make demo     the same on virtual machines with real OpenZFS")
		d.field("", "make lab-up          two nodes to try things on; make lab-ssh NODE=a")
	} else {
		d.field("Next", "make lab-up LAB=vm   two nodes to try things on; make lab-ssh NODE=a")
	}
	d.field("", "make test            all tests that need no nodes")
	d.field("", "make drill           all failure scenarios")
	return nil
}

func (d *demo) field(name, text string) {
	d.line("    " + d.styled(bold, pad(name, 11)) + text)
}
