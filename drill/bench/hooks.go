package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/drill"
)

// probeRuns is the number of runs of the check and of its alternative, in
// turns.
const probeRuns = 200

// The goals for the programs that keepalived runs.
const (
	probeRatio = 0.4
	probeBytes = 20 << 20
	hookRuns   = 20
)

// probe measures the check that keepalived runs every second against the
// command that it replaces, on the active node.
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

// hook measures the programs that keepalived and other nodes start, on the
// active node, against "docker inspect" in the same run.
func (b *bench) hook(ctx context.Context) error {
	event := []string{"failover-notify", "event", "INSTANCE", "understudy", "MASTER", "100"}
	peer := []string{"failover-notify", "peer", "-o", "json"}
	laps, err := b.laps(ctx, b.site.A, hookRuns, 500*time.Millisecond, event, peer, []string{"docker", "inspect", "-f", "{{.State.Running}}", "traefik"})
	if err != nil {
		return err
	}
	theirs, _ := wall(laps[2])
	for i, what := range []string{"keepalived's notify script, `failover-notify event`", "a node's answer to another one, `failover-notify peer`"} {
		took, _ := wall(laps[i])
		ratio := median(took) / median(theirs)
		b.add(row{
			what: what, ours: milliseconds(median(took)) + ", at most " + milliseconds(slices.Max(took)),
			other: "`docker inspect`: " + milliseconds(median(theirs)),
			ratio: fmt.Sprintf("%.2f of its time", ratio), goal: fmt.Sprintf("at most %.2f", probeRatio), judged: true, met: ratio <= probeRatio,
			how: fmt.Sprintf("wall time of the whole process; medians of %d runs each, in turns, half a second apart, during which the watcher acts on the requests; processor time %s", hookRuns, milliseconds(median(cpu(laps[i])))),
		})
	}
	return nil
}
