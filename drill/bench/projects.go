package main

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/drill"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// projectCount is the number of projects.
const projectCount = 12

// projectRounds is the number of measurements of each way to start them, in
// turns.
const projectRounds = 3

// benchFolder is the folder of the projects on the node.
const benchFolder = "/srv/bench"

const makeProjects = `
for i in $(seq -w 1 "$2"); do
	mkdir -p "$1/apps/p$i"
	cat >"$1/apps/p$i/docker-compose.yml" <<EOF
services:
  p$i:
    image: webapp:lab
    command: [app, -name=p$i]
    restart: unless-stopped
    env_file: /etc/lab/node.env
    tmpfs: /data
    networks: [proxy]
networks:
  proxy: {external: true}
EOF
done`

// startSerially starts them as the script in the hook does.
const startSerially = `cd ` + benchFolder + `; for compose in apps/*/docker-compose.yml; do docker compose -f "$compose" up -d; done`

// countRunning prints the number of running containers.
const countRunning = `docker ps -q --filter status=running --filter name='^p[0-9]+-' | wc -l`

const stopThem = `docker stop -t 1 $(docker ps -q --filter name='^p[0-9]+-') >/dev/null`

// projects measures the start of all projects: by a promotion, and one after
// the other. Their containers exist but are stopped, as on a former active
// node.
func (b *bench) projects(ctx context.Context) error {
	if err := b.onlyProjects(ctx); err != nil {
		return err
	}
	var ours, theirs []float64
	for i := range projectRounds + 1 {
		mine, err := b.promoted(ctx)
		if err != nil {
			return err
		}
		laps, err := b.laps(ctx, b.site.A, 1, 0, []string{"bash", "-euc", startSerially})
		if err != nil {
			return err
		}
		if err := b.allRun(ctx); err != nil {
			return err
		}
		if _, err := b.shell(ctx, b.site.A, stopThem); err != nil {
			return err
		}
		b.say("%d projects: %.2f s, one after the other %.2f s", projectCount, mine, laps[0][0].Seconds)
		if i > 0 { // the first round made the containers
			ours, theirs = append(ours, mine), append(theirs, laps[0][0].Seconds)
		}
	}
	b.add(atMost(fmt.Sprintf("%d Compose projects are started by a takeover", projectCount), "for d in …; do docker compose -f $d/docker-compose.yml up -d; done",
		median(ours), median(theirs), 0.6,
		fmt.Sprintf("from the first step of the projects to the end of the last, against the wall time of the loop; medians of %d rounds in turns; containers stopped before, two processors", projectRounds)))
	return nil
}

// onlyProjects gives the first node those projects instead of the site's. The
// watcher is stopped, since it would stop projects that others start; each
// request then starts a process of its own.
func (b *bench) onlyProjects(ctx context.Context) error {
	if err := b.become(ctx, state.RoleStandby); err != nil {
		return err
	}
	if err := lab.StopService(ctx, b.site.A, "watch"); err != nil {
		return err
	}
	if _, err := b.shell(ctx, b.site.A, makeProjects, benchFolder, fmt.Sprint(projectCount)); err != nil {
		return err
	}
	return b.site.Reconfigure(ctx, func(c drill.Config) {
		siteConfig(c)
		c.Set("services.directory", benchFolder)
		c.Set("services.first", []any{})
		c.Set("probe", drill.Config{})
	})
}

// promoted makes the node active, returns the seconds in which its projects
// started, and makes it a standby again.
func (b *bench) promoted(ctx context.Context) (float64, error) {
	if err := b.become(ctx, state.RoleActive); err != nil {
		return 0, err
	}
	if err := b.allRun(ctx); err != nil {
		return 0, err
	}
	s, err := drill.ReadState(ctx, b.site.A)
	if err != nil {
		return 0, err
	}
	var first, last time.Time
	count := 0
	for _, step := range s.Role.Transition.Steps {
		if step.Name != "networks" && step.Name != "start" {
			continue
		}
		if step.Name == "start" {
			count++
		}
		if first.IsZero() {
			first = step.Started
		}
		if end := step.Started.Add(time.Duration(step.Seconds * float64(time.Second))); end.After(last) {
			last = end
		}
	}
	if count != projectCount {
		return 0, fmt.Errorf("the promotion started %d projects, want %d", count, projectCount)
	}
	return last.Sub(first).Seconds(), b.become(ctx, state.RoleStandby)
}

func (b *bench) allRun(ctx context.Context) error {
	text, err := b.shell(ctx, b.site.A, countRunning)
	if err == nil && text != fmt.Sprint(projectCount) {
		err = fmt.Errorf("%s of %d projects run", text, projectCount)
	}
	return err
}
