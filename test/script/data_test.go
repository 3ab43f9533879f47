package script_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	runner "github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// takeOver is a program for the scripts: "take-over promote", "demote",
// "fence" or "state" does to this node's datasets what a change of its role
// does. It prints what became of them, one fact a line, without times.
func takeOver() {
	if err := takeOverData(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "take-over: %v\n", err)
		os.Exit(1)
	}
}

func takeOverData(args []string) error {
	cfg, err := config.Load(config.LoadOptions{Env: os.Getenv})
	if err != nil {
		return err
	}
	d := data.New(cfg, zfs.New(runner.New(zerolog.Nop()), cfg.Replication.Timeouts.ZFS), zerolog.Nop())
	if dir := os.Getenv("ZVOL"); dir != "" {
		d.Devices = dir
	}
	var result data.Result
	switch ctx := context.Background(); args[0] {
	case "promote":
		result, err = d.Promote(ctx, timed)
	case "demote":
		result, err = d.Demote(ctx, timed)
	case "fence":
		result, err = d.Fence(ctx)
	case "state":
		states, err := d.State(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(states)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d of %d datasets\n", result.Usable(), result.Datasets)
	if result.Snapshot != "" {
		fmt.Println("snapshot")
	}
	for _, warning := range result.Warnings {
		fmt.Println("warning:", warning)
	}
	for _, failure := range result.Failed {
		fmt.Println("failed:", failure.Err)
	}
	return nil
}

// timed says on request how long each step took.
func timed(ctx context.Context, name, object string, budget time.Duration, do func(context.Context) error) error {
	started := time.Now()
	err := data.Unrecorded(ctx, name, object, budget, do)
	if os.Getenv("TAKE_OVER_TIMES") != "" {
		fmt.Fprintf(os.Stderr, "%8.3f s  %s\n", time.Since(started).Seconds(), name)
	}
	return err
}
