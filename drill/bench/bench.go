package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/drill"
	"github.com/understudy-ha/understudy/lab"
)

// part is one measurement. Its rows go into the table.
type part struct {
	name string
	on   nodes
	run  func(*bench, context.Context) error
}

// nodes are the nodes that a part is measured on.
type nodes int

const (
	none    nodes = iota
	virtual       // two virtual machines, with real OpenZFS
	fast          // two nodes of namespaces, at native speed, with real Docker
)

// parts returns the parts in the order of the table.
func parts() []part {
	return []part{
		{"datasets", virtual, (*bench).datasets},
		{"script", virtual, (*bench).script},
		{"stream", virtual, (*bench).stream},
		{"many", virtual, (*bench).many},
		{"planning", none, (*bench).planning},
		{"probe", fast, (*bench).probe},
		{"hook", fast, (*bench).hook},
		{"projects", fast, (*bench).projects},
	}
}

func partNames() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// bench is one run of the bench.
type bench struct {
	sizes
	log   io.Writer
	pair  *drill.Pair // the virtual machines
	site  *drill.Site // the fast nodes
	rows  []row
	about about
	began time.Time
	loads []float64 // of the host, one minute's average, at each part's begin and end
}

// measure runs the parts. Parts on the same nodes run together, so that no
// other nodes compete for the processors.
func (b *bench) measure(ctx context.Context, names []string) error {
	b.began = time.Now()
	dir, err := os.MkdirTemp("", "understudy-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the programs: %w", err)
	}
	defer os.RemoveAll(dir)
	for _, on := range []nodes{virtual, none, fast} {
		chosen := slices.DeleteFunc(parts(), func(p part) bool { return p.on != on || !slices.Contains(names, p.name) })
		if len(chosen) == 0 {
			continue
		}
		if err := b.measureOn(ctx, on, dir, chosen); err != nil {
			return err
		}
	}
	return nil
}

// measureOn starts nodes, runs parts on them and removes the nodes.
func (b *bench) measureOn(ctx context.Context, on nodes, dir string, chosen []part) (err error) {
	switch on {
	case virtual:
		if err := b.up(ctx, dir); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.pair.Down()) }()
	case fast:
		if err := b.upSite(ctx, dir); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.site.Down()) }()
	}
	for _, p := range chosen {
		b.say("part %s", p.name)
		b.noteLoad()
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("part %s: %w", p.name, err)
		}
		b.noteLoad()
	}
	return nil
}

func (b *bench) up(ctx context.Context, dir string) error {
	programs, err := drill.Build(ctx, lab.VM, dir)
	if err != nil {
		return err
	}
	b.say("starting two virtual machines")
	b.pair, err = drill.Up(ctx, drill.Options{Kind: lab.VM, Programs: programs, PoolSize: 4 << 30, Log: b.log})
	if err != nil {
		return err
	}
	b.about, err = b.describe(ctx)
	if err != nil {
		return errors.Join(err, b.pair.Down())
	}
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.log, "bench: %6.1f s: %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// cost is the use of resources by a program on its node.
type cost struct {
	seconds float64 // wall
	cpu     float64 // seconds of processor time, with that of its children
	rss     int64   // bytes: the largest resident size of it or one of its children
}

// patience is the deadline of every measured program.
const patience = 30 * time.Minute

// timed runs a program on a node under GNU time.
func (b *bench) timed(ctx context.Context, n lab.Node, what string, argv ...string) (cost, string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const report = "/run/bench.time"
	result, err := n.Run(ctx, lab.Argv(append([]string{"/usr/bin/time", "-q", "-o", report, "-f", "%e %U %S %M"}, argv...)...))
	if err != nil {
		return cost{}, "", fmt.Errorf("%s: %w", what, err)
	}
	c, err := b.readCost(ctx, n, report)
	if err == nil {
		b.say("%s: %.2f s, %.2f s of processor time, at most %s", what, c.seconds, c.cpu, mib(c.rss))
	}
	return c, result.Stdout, err
}

// readCost parses the output of GNU time.
func (b *bench) readCost(ctx context.Context, n lab.Node, report string) (cost, error) {
	text, err := drill.Run(ctx, n, "cat", report)
	if err != nil {
		return cost{}, fmt.Errorf("read what time wrote: %w", err)
	}
	fields := strings.Fields(text)
	if len(fields) != 4 {
		return cost{}, fmt.Errorf("read what time wrote on %s: %q", n.Name(), text)
	}
	var numbers [4]float64
	for i, field := range fields {
		if numbers[i], err = strconv.ParseFloat(field, 64); err != nil {
			return cost{}, fmt.Errorf("read what time wrote on %s: %w", n.Name(), err)
		}
	}
	return cost{seconds: numbers[0], cpu: numbers[1] + numbers[2], rss: int64(numbers[3]) << 10}, nil
}

// shell runs a script on a node, unmeasured.
func (b *bench) shell(ctx context.Context, n lab.Node, script string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return drill.Shell(ctx, n, script, args...)
}

// noteLoad records the load of the host.
func (b *bench) noteLoad() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	if load, err := strconv.ParseFloat(strings.Fields(string(text))[0], 64); err == nil {
		b.loads = append(b.loads, load)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
