package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/drill"
)

// probeRuns is how often the check and what it replaces are run, in turns.
const probeRuns = 200

// The goals of what keepalived runs.
const (
	probeRatio = 0.4
	probeBytes = 20 << 20
	hookRuns   = 20
	hookLimit  = 0.050 // seconds
)

// probe measures the check that keepalived runs every second against the one
// that it replaces, on the active node.
func (b *bench) probe(ctx context.Context) error {
	a := b.site.A
	inspect := []string{"docker", "inspect", "-f", "{{.State.Running}}", "traefik"}
	laps, err := b.laps(ctx, a, probeRuns, 10*time.Millisecond, []string{"track-traefik"}, inspect)
	if err != nil {
		return err
	}
	version, err := drill.Run(ctx, a, "docker", "version", "-f", "{{.Client.Version}}")
	if err != nil {
		return err
	}
	ours, rss := wall(laps[0])
	theirs, theirRSS := wall(laps[1])
	ratio := median(ours) / median(theirs)
	b.add(row{
		what: "keepalived's check of a healthy active node, each second", ours: milliseconds(median(ours)),
		other: "`" + strings.Join(inspect, " ") + "` (Docker " + version + "): " + milliseconds(median(theirs)),
		ratio: fmt.Sprintf("%.2f of its time", ratio), goal: fmt.Sprintf("at most %.2f", probeRatio), judged: true, met: ratio <= probeRatio,
		how: fmt.Sprintf("wall time of the whole process; medians of %d runs each, in turns; processor time %s against %s, %.2f of it; the check looks at the container, Traefik's answer and the pool",
			probeRuns, milliseconds(median(cpu(laps[0]))), milliseconds(median(cpu(laps[1]))), median(cpu(laps[0]))/median(cpu(laps[1]))),
	})
	b.add(row{
		what: "keepalived's check: memory", ours: mib(rss), other: "`docker inspect`: " + mib(theirRSS),
		goal: "under " + mib(probeBytes), judged: true, met: rss < probeBytes, how: "largest resident size of all those runs",
	})
	return nil
}

// hook measures keepalived's notify script on an active node that is told so.
func (b *bench) hook(ctx context.Context) error {
	laps, err := b.laps(ctx, b.site.A, hookRuns, 500*time.Millisecond, []string{"failover-notify", "event", "INSTANCE", "understudy", "MASTER", "100"})
	if err != nil {
		return err
	}
	took, _ := wall(laps[0])
	most := slices.Max(took)
	b.add(row{
		what: "keepalived's notify script", ours: milliseconds(median(took)) + ", at most " + milliseconds(most),
		goal: "at most " + milliseconds(hookLimit), judged: true, met: most <= hookLimit,
		how: fmt.Sprintf("wall time of `failover-notify event`; median and longest of %d runs, half a second apart, each of which the watcher acts on; processor time %s", hookRuns, milliseconds(median(cpu(laps[0])))),
	})
	return nil
}
