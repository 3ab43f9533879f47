package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/drill"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/replicate"
)

// otherPool is the pool of the programs compared with, so that no snapshots
// interfere.
const otherPool = "other"

// makeTree makes a dataset with children on a node, count in all, each with a
// file.
const makeTree = `
zfs create "$1"
for i in $(seq -w 2 "$2"); do zfs create "$1/d$i"; done
for mount in "/$1" "/$1"/*/; do echo "made" > "$mount/file"; done
zpool sync`

// changeTree writes a small file into each dataset.
const changeTree = `for mount in "/$1" "/$1"/*/; do date +%N > "$mount/changed"; done; zpool sync`

// syncoid is called as from cron: without progress, as root on both nodes.
var syncoid = []string{"syncoid", "-r", "--no-privilege-elevation", "--quiet", "--sshkey", "/etc/understudy/id_ed25519",
	otherPool + "/data", "root@b:" + otherPool + "/data"}

// datasets measures trees of small datasets, unchanged and changed, against
// syncoid.
func (b *bench) datasets(ctx context.Context) error {
	if err := b.pair.Configure(ctx, only(drill.Pool+"/data")); err != nil {
		return err
	}
	if err := b.makeOther(ctx); err != nil {
		return err
	}
	count := fmt.Sprint(b.sizes.datasets)
	for _, pool := range []string{drill.Pool, otherPool} {
		if _, err := b.shell(ctx, b.pair.A, makeTree, pool+"/data", count); err != nil {
			return err
		}
	}
	first, _, err := b.replicate(ctx, "first run")
	if err != nil {
		return err
	}
	const seed = `zfs snapshot -r "$1@seed"; zfs send -R "$1@seed" | ssh b zfs receive -u "$1"`
	if _, err := b.shell(ctx, b.pair.A, seed, otherPool+"/data"); err != nil {
		return fmt.Errorf("give syncoid a common snapshot: %w", err)
	}
	b.add(row{what: "first run, " + count + " small datasets", ours: seconds(first.seconds), goal: "—",
		how: "wall time of the whole command"})
	if err := b.unchanged(ctx); err != nil {
		return err
	}
	if err := b.changed(ctx); err != nil {
		return err
	}
	return b.processes(ctx)
}

// makeOther makes the other pool on both nodes, once.
func (b *bench) makeOther(ctx context.Context) error {
	for _, n := range b.pair.Lab.Nodes {
		if _, err := drill.Run(ctx, n, "zfs", "list", otherPool); err == nil {
			continue
		}
		if err := lab.MakePool(ctx, n, otherPool, 2<<30); err != nil {
			return err
		}
	}
	return nil
}

// only makes a configuration that replicates those datasets and nothing else.
func only(datasets ...string) func(drill.Config) {
	return func(c drill.Config) {
		var list []any
		for _, d := range datasets {
			list = append(list, drill.Config{"name": d})
		}
		c.Set("replication.datasets", list)
	}
}

func (b *bench) unchanged(ctx context.Context) error {
	var ours []float64
	var plain, bare cost
	for i := range 6 {
		c, result, err := b.replicate(ctx, "unchanged, zfs-replicate")
		if err != nil {
			return err
		}
		if result.Standbys[0].Bytes != 0 {
			return fmt.Errorf("a run without changes sent %d bytes", result.Standbys[0].Bytes)
		}
		ours = append(ours, c.seconds)
		switch i {
		case 1:
			if bare, _, err = b.timed(ctx, b.pair.A, "unchanged, syncoid --no-sync-snap", append(syncoid[:len(syncoid):len(syncoid)], "--no-sync-snap")...); err != nil {
				return err
			}
		case 3:
			if plain, _, err = b.timed(ctx, b.pair.A, "unchanged, syncoid", syncoid...); err != nil {
				return err
			}
		}
	}
	mine := median(ours)
	how := fmt.Sprintf("wall time; median of %d of our runs around one of syncoid", len(ours))
	what := fmt.Sprintf("%d datasets, unchanged", b.sizes.datasets)
	b.add(atMost(what, "syncoid -r", mine, plain.seconds, 0.03, how))
	b.add(atMost(what, "syncoid -r --no-sync-snap", mine, bare.seconds, 0.03, how))
	return nil
}

func (b *bench) changed(ctx context.Context) error {
	var ours []float64
	var theirs cost
	for i := range 3 {
		if _, err := b.shell(ctx, b.pair.A, changeTree, drill.Pool+"/data"); err != nil {
			return err
		}
		c, result, err := b.replicate(ctx, "changed, zfs-replicate")
		if err != nil {
			return err
		}
		if sent := sentItems(result); sent != b.sizes.datasets {
			return fmt.Errorf("%d datasets were changed, but %d were sent", b.sizes.datasets, sent)
		}
		ours = append(ours, c.seconds)
		if i == 0 {
			if _, err := b.shell(ctx, b.pair.A, changeTree, otherPool+"/data"); err != nil {
				return err
			}
			if theirs, _, err = b.timed(ctx, b.pair.A, "changed, syncoid", syncoid...); err != nil {
				return err
			}
		}
	}
	b.add(atMost(fmt.Sprintf("%d datasets, a small file written in each", b.sizes.datasets), "syncoid -r",
		median(ours), theirs.seconds, 0.15, fmt.Sprintf("wall time; median of %d of our runs around one of syncoid", len(ours))))
	return nil
}

func sentItems(result *replicate.Result) int {
	n := 0
	for _, item := range result.Standbys[0].Items {
		if item.Sends() {
			n++
		}
	}
	return n
}

// replicate measures "zfs-replicate run" and checks its result: every dataset
// must succeed.
func (b *bench) replicate(ctx context.Context, what string, args ...string) (cost, *replicate.Result, error) {
	c, stdout, err := b.timed(ctx, b.pair.A, what, append([]string{"zfs-replicate", "run", "-o", "json"}, args...)...)
	if err != nil {
		return cost{}, nil, err
	}
	var result replicate.Result
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		return cost{}, nil, fmt.Errorf("%s: read the result: %w", what, err)
	}
	if good, bad := result.Counts(); bad > 0 || good == 0 || len(result.Standbys) != 1 {
		return cost{}, nil, fmt.Errorf("%s: %d datasets in order, %d not", what, good, bad)
	}
	return c, &result, nil
}

// counting is a folder of stand-ins, first on PATH, that record each call and
// then become the real program.
const counting = `
mkdir -p /run/count
for program in ssh zfs zpool; do
	real=$(command -v $program)
	printf '#!/bin/sh\necho %s >> /run/count/calls\nexec %s "$@"\n' $program "$real" > /run/count/$program
done
printf '#!/bin/sh\necho receiver >> /run/count/calls\nPATH=/run/count:$PATH exec zfs-replicate "$@"\n' > /run/count/counted-receiver
chmod +x /run/count/*
rm -f /run/count/calls`

// processes counts the processes of a run in two ways: by its own report, and
// by the stand-ins on PATH.
func (b *bench) processes(ctx context.Context) error {
	config := func(c drill.Config) {
		only(drill.Pool + "/data")(c)
		c.Set("ssh.remote_command", "/run/count/counted-receiver")
	}
	if err := b.pair.Configure(ctx, config); err != nil {
		return err
	}
	for _, changed := range []bool{false, true} {
		for _, n := range b.pair.Lab.Nodes {
			if _, err := b.shell(ctx, n, counting); err != nil {
				return err
			}
		}
		what := "unchanged"
		if changed {
			what = "changed"
			if _, err := b.shell(ctx, b.pair.A, changeTree, drill.Pool+"/data"); err != nil {
				return err
			}
		}
		text, err := b.shell(ctx, b.pair.A, `PATH=/run/count:$PATH exec zfs-replicate run -o json`)
		if err != nil {
			return err
		}
		var result replicate.Result
		if err := json.Unmarshal([]byte(text), &result); err != nil {
			return fmt.Errorf("read the result: %w", err)
		}
		here, err := b.calls(ctx, b.pair.A)
		if err != nil {
			return err
		}
		there, err := b.calls(ctx, b.pair.B)
		if err != nil {
			return err
		}
		sessions := there["receiver"]
		delete(there, "receiver")
		if !same(here, result.Processes) || !same(there, result.Standbys[0].Processes) {
			return fmt.Errorf("the run reports %v here and %v there, but %v and %v were counted", result.Processes, result.Standbys[0].Processes, here, there)
		}
		b.add(row{
			what: fmt.Sprintf("processes of a run, %d datasets %s", b.sizes.datasets, what),
			ours: fmt.Sprintf("ssh %d; sender zfs %d, zpool %d; standby zfs %d, zpool %d", here["ssh"], here["zfs"], here["zpool"], there["zfs"], there["zpool"]),
			goal: "1 ssh session", judged: true, met: here["ssh"] == 1 && sessions == 1,
			how: "counted by stand-ins on PATH at both ends; equal to what `run -o json` reports",
		})
	}
	return b.pair.Configure(ctx, only(drill.Pool+"/data"))
}

// calls returns the calls that the stand-ins of a node recorded.
func (b *bench) calls(ctx context.Context, n lab.Node) (map[string]int, error) {
	text, err := drill.Run(ctx, n, "cat", "/run/count/calls")
	if err != nil {
		return nil, err
	}
	calls := map[string]int{}
	for line := range strings.Lines(text) {
		calls[strings.TrimSpace(line)]++
	}
	return calls, nil
}

func same(a, b map[string]int) bool {
	for _, name := range []string{"ssh", "zfs", "zpool"} {
		if a[name] != b[name] {
			return false
		}
	}
	return true
}
