package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// errMissed reports a finished bench that missed a goal.
var errMissed = errors.New("a goal was missed: see the table")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

// sizes are the amounts of data and runs; values other than the defaults are
// for trials.
type sizes struct {
	datasets      int // of the runs against syncoid
	stream        int // MiB of the one big dataset
	pairs         int // how often each of two is measured, in turns
	manyDatasets  int
	manySnapshots int // of each of those
}

var full = sizes{datasets: 50, stream: 256, pairs: 3, manyDatasets: 100, manySnapshots: 100}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := partNames()
	parts := flags.String("parts", strings.Join(names, ","), "what to measure; the page is written only when it is all, in full size")
	page := flags.String("page", "docs/benchmarks.md", "page to write")
	size := full
	flags.IntVar(&size.datasets, "datasets", full.datasets, "datasets of the runs against syncoid")
	flags.IntVar(&size.stream, "stream", full.stream, "MiB of the one big stream")
	flags.IntVar(&size.pairs, "pairs", full.pairs, "how often each is measured, in turns")
	flags.IntVar(&size.manyDatasets, "many-datasets", full.manyDatasets, "datasets with many snapshots")
	flags.IntVar(&size.manySnapshots, "many-snapshots", full.manySnapshots, "snapshots of each of them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen := strings.Split(*parts, ",")
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no part is called %q: there are %s", name, strings.Join(names, ", "))
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root: sudo make bench")
	}

	b := &bench{sizes: size, log: stderr}
	if err := b.measure(ctx, chosen); err != nil {
		return err
	}
	fmt.Fprint(stdout, b.table())
	whole := size == full && !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(chosen, n) })
	if whole {
		if err := b.writePage(*page); err != nil {
			return err
		}
		fmt.Fprintf(stderr, "bench: wrote %s\n", *page)
	}
	if b.missed() {
		return errMissed
	}
	return nil
}
