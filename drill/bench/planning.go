package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// nonlinear is the limit above which the planner's cost per snapshot no longer
// counts as constant when there are four times as many.
const nonlinear = 1.5

// planning runs the planner's Go benchmark on the host and checks that the cost
// per snapshot stays constant.
func (b *bench) planning(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkMakePlan$", "-count", "3", "github.com/understudy-ha/understudy/pkg/replicate/plan")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test -bench: %w:\n%s", err, out)
	}
	costs, err := perSnapshot(string(out))
	if err != nil {
		return err
	}
	var texts []string
	for _, size := range []string{"10000", "20000", "40000"} {
		if len(costs[size]) == 0 {
			return fmt.Errorf("go test -bench: nothing about %s snapshots in:\n%s", size, out)
		}
		texts = append(texts, fmt.Sprintf("%s: %.0f ns", size, median(costs[size])))
	}
	growth := median(costs["40000"]) / median(costs["10000"])
	b.add(row{
		what: "planning, nanoseconds per snapshot", ours: strings.Join(texts, ", "), ratio: fmt.Sprintf("%.2f", growth),
		goal:   fmt.Sprintf("linear: at most %.1f times as much for each of 40,000 as of 10,000", nonlinear),
		judged: true, met: growth <= nonlinear,
		how: "`go test -bench MakePlan ./pkg/replicate/plan` on the host; median of three",
	})
	return nil
}

// perSnapshot returns the benchmark's own unit, nanoseconds per snapshot, by
// size.
func perSnapshot(out string) (map[string][]float64, error) {
	costs := map[string][]float64{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		for i, field := range fields {
			if field != "ns/snapshot" {
				continue
			}
			value, err := strconv.ParseFloat(fields[i-1], 64)
			if err != nil {
				return nil, fmt.Errorf("read the benchmark's line %q: %w", strings.TrimSpace(line), err)
			}
			_, name, _ := strings.Cut(fields[0], "/")
			size, _, _ := strings.Cut(name, "-")
			costs[size] = append(costs[size], value)
		}
	}
	return costs, nil
}
