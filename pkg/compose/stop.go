package compose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/docker"
)

const (
	// stopMargin is what stopping may take beyond the containers' grace, with a
	// busy engine and all that has to be killed.
	stopMargin = 25 * time.Second
	// lookAgain is the wait before the second check that none runs: a
	// start that was cancelled may still bring a container.
	lookAgain = 200 * time.Millisecond
	// settle is how long the engine's list may lag behind what it has just
	// said of one container.
	settle = 50 * time.Millisecond
)

var errStop = errors.New("the time for stopping has passed")

// Stop stops all containers of projects at the same time, and whatever else of
// Compose runs under services.directory. grace is what each may take before it
// is killed; 0 is services.stop_timeout. It returns nil only when none runs any
// more, as two looks one after the other have shown; otherwise the error is a
// *StillRunningError.
//
// While the engine does not answer, containers are killed by the kernel. The
// engine knows nothing of that, and may start those with a restart policy again
// when it comes back: Stop is to be called again then.
func (m *Manager) Stop(ctx context.Context, projects []Project, grace time.Duration) error {
	if grace <= 0 {
		grace = m.cfg.StopTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, grace+stopMargin, errStop)
	defer cancel()
	tried := map[string]int{}
	var running []docker.Container
	var lastErr error
	for quiet := 0; quiet < 2; {
		now, err := m.Running(ctx, projects)
		down := docker.IsDown(err)
		if err == nil && len(now) == 0 {
			now, err = m.starting(ctx, projects)
		}
		switch {
		case ctx.Err() != nil:
			return still(running, context.Cause(ctx), lastErr)
		case down:
			return m.kill(ctx, projects, err)
		case err != nil:
			running, lastErr, quiet = now, err, 0
		case len(now) == 0:
			running, lastErr = nil, nil
			quiet++
		default:
			running, quiet = now, 0
			if lastErr = m.end(ctx, now, tried, grace); lastErr == nil {
				pause(ctx, settle)
				continue
			}
		}
		if quiet < 2 {
			pause(ctx, lookAgain)
		}
	}
	return nil
}

// starting returns those of our containers that ran only after the engine's
// list was made. The engine continues a start whose caller is gone, and its
// list shows the container as it was before; asked for the container itself, it
// answers once the start is over.
func (m *Manager) starting(ctx context.Context, projects []Project) ([]docker.Container, error) {
	containers, err := m.containers(ctx, projects)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(containers))
	up := make([]bool, len(containers))
	var all sync.WaitGroup
	for i, c := range containers {
		all.Go(func() {
			d, err := m.engine.Inspect(ctx, c.ID)
			up[i] = err == nil && (d.Running || d.Restarting || d.Paused)
			if !docker.NotFound(err) {
				errs[i] = err
			}
		})
	}
	all.Wait()
	var running []docker.Container
	for i, c := range containers {
		if up[i] || errs[i] != nil {
			running = append(running, c)
		}
	}
	return running, errors.Join(errs...)
}

// end tries to end containers, each time harder: stop, kill, and kill by the
// kernel.
func (m *Manager) end(ctx context.Context, running []docker.Container, tried map[string]int, grace time.Duration) error {
	errs := make([]error, len(running))
	var all sync.WaitGroup
	for i, c := range running {
		attempt := tried[c.ID]
		tried[c.ID]++
		all.Go(func() {
			switch attempt {
			case 0:
				ctx, cancel := context.WithTimeout(ctx, grace+2*time.Second)
				defer cancel()
				m.log.Debug().Str("container", c.Name).Msg("stop")
				errs[i] = m.engine.Stop(ctx, c.ID, grace)
			case 1:
				m.log.Warn().Str("container", c.Name).Dur("grace", grace).Msg("it did not stop in time: killing it")
				errs[i] = m.engine.Kill(ctx, c.ID)
			default:
				m.log.Warn().Str("container", c.Name).Msg("the engine does not end it: killing its processes")
				errs[i] = m.killOne(ctx, c.ID)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// killOne kills a container through its cgroup, if it has one.
func (m *Manager) killOne(ctx context.Context, id string) error {
	groups, err := docker.Groups(m.groups)
	if err != nil {
		return err
	}
	group, ok := groups[id]
	if !ok {
		return fmt.Errorf("kill container %s: the engine says that it runs, and no process of it is found below %s", short(id), m.groups)
	}
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	return docker.KillGroup(ctx, group)
}

func still(running []docker.Container, cause, last error) error {
	e := &StillRunningError{Err: cause}
	if last != nil {
		e.Err = errors.Join(cause, last)
	}
	for _, c := range running {
		e.Names = append(e.Names, c.Name)
	}
	slices.Sort(e.Names)
	return e
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
