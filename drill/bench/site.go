package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/understudy-ha/understudy/drill"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// stopwatch is the path of that program on the site's first node.
const stopwatch = "/run/stopwatch"

// upSite starts two nodes with Docker; a is active. keepalived does not run:
// the roles are requested by commands.
func (b *bench) upSite(ctx context.Context, dir string) error {
	programs, err := drill.BuildSite(ctx, lab.NS, dir)
	if err != nil {
		return err
	}
	timer := filepath.Join(dir, "stopwatch")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", timer, "github.com/understudy-ha/understudy/drill/bench/stopwatch")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the stopwatch: %w:\n%s", err, out)
	}
	b.say("starting two nodes with Docker")
	b.site, err = drill.SiteUp(ctx, drill.SiteOptions{Kind: lab.NS, Programs: programs, Configure: siteConfig, Log: b.log})
	if err != nil {
		return err
	}
	err = b.site.A.CopyTo(ctx, timer, stopwatch)
	for _, n := range b.site.Lab.Nodes {
		for _, service := range []string{"join", "watch"} {
			if err == nil {
				err = lab.StartService(ctx, n, service)
			}
		}
	}
	if err == nil {
		err = b.become(ctx, state.RoleActive)
	}
	if err != nil {
		return errors.Join(err, b.site.Down())
	}
	return nil
}

// siteConfig leaves out the questions to the network, which the programs
// compared with do not ask either.
func siteConfig(c drill.Config) { c.Set("witness.targets", []any{}) }

// become requests a role of the first node and waits until the node has it.
func (b *bench) become(ctx context.Context, role state.Role) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	request := "backup"
	if role == state.RoleActive {
		request = "master"
	}
	before, err := drill.ReadState(ctx, b.site.A)
	if err != nil {
		return err
	}
	if _, err := drill.Run(ctx, b.site.A, "failover-notify", request); err != nil {
		return err
	}
	for {
		s, err := drill.ReadState(ctx, b.site.A)
		switch {
		case err != nil:
			return err
		case s.Role.RequestSeq > before.Request.Seq && s.Role.Transition != nil && s.Role.Transition.Outcome != "":
			if s.Role.Role != role || s.Role.Transition.Outcome != state.OutcomeDone {
				return fmt.Errorf("node a is no %s: %s: %s", role, s, s.Role.Transition.Error)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for role %s: %w: %s", role, context.Cause(ctx), s)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lap is one run of a program as the stopwatch prints it.
type lap struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"` // seconds of processor time
	Bytes   int64   `json:"bytes"`
}

// laps runs programs in turns on a node of the site.
func (b *bench) laps(ctx context.Context, n lab.Node, rounds int, pause time.Duration, programs ...[]string) ([][]lap, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	argv := []string{stopwatch, fmt.Sprint(rounds), pause.String()}
	for _, program := range programs {
		argv = append(append(argv, "--"), program...)
	}
	text, err := drill.Run(ctx, n, argv...)
	if err != nil {
		return nil, err
	}
	var list [][]lap
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("read what the stopwatch printed: %w", err)
	}
	return list, nil
}

// wall returns the seconds of laps, and rss the largest size in bytes.
func wall(laps []lap) (seconds []float64, rss int64) {
	for _, one := range laps {
		seconds, rss = append(seconds, one.Seconds), max(rss, one.Bytes)
	}
	return seconds, rss
}

// cpu returns the seconds of processor time of laps.
func cpu(laps []lap) (seconds []float64) {
	for _, one := range laps {
		seconds = append(seconds, one.CPU)
	}
	return seconds
}

func milliseconds(s float64) string { return fmt.Sprintf("%.1f ms", s*1000) }
