package compose

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/docker"
)

// killTimeout bounds killing by the kernel: what is left after it hangs there.
const killTimeout = 5 * time.Second

// kill ends our containers while the engine does not answer: those that are
// known, and those that the engine's own files name as ours. down is why.
func (m *Manager) kill(ctx context.Context, projects []Project, down error) error {
	m.log.Warn().Err(down).Msg("killing containers through their cgroups")
	ctx, cancel := context.WithTimeoutCause(ctx, 2*killTimeout, errStop)
	defer cancel()
	ours := m.owner(projects)
	root := dataRoot(m.settings)
	for quiet := 0; quiet < 2; {
		groups, err := docker.Groups(m.groups)
		if err != nil {
			return &StillRunningError{Err: errors.Join(down, err)}
		}
		var unclear []string
		maps.DeleteFunc(groups, func(id, _ string) bool {
			if m.knows(id) {
				return false
			}
			project, dir, err := labels(root, id)
			if err != nil {
				unclear = append(unclear, short(id))
			}
			return err != nil || !ours(project, dir)
		})
		if len(groups) == 0 {
			if quiet++; quiet == 2 && len(unclear) > 0 {
				return &StillRunningError{Names: unclear, Err: errors.Join(down, errUnclear)}
			}
		} else if quiet = 0; ctx.Err() != nil {
			return m.left(groups, down, context.Cause(ctx))
		} else if err := killAll(ctx, groups); err != nil {
			return m.left(groups, down, err)
		}
		pause(ctx, lookAgain)
	}
	return nil
}

var errUnclear = errors.New("it can't be told without the engine whether they are ours")

func (m *Manager) left(groups map[string]string, errs ...error) error {
	e := &StillRunningError{Err: errors.Join(errs...)}
	for id := range groups {
		e.Names = append(e.Names, short(id))
	}
	slices.Sort(e.Names)
	return e
}

func killAll(ctx context.Context, groups map[string]string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, killTimeout, errStop)
	defer cancel()
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	for _, group := range groups {
		all.Go(func() {
			if err := docker.KillGroup(ctx, group); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// labels reads from the engine's own files to which project a container
// belongs. "" is one that Compose did not make.
func labels(root, id string) (project, dir string, err error) {
	data, err := os.ReadFile(filepath.Join(root, "containers", id, "config.v2.json"))
	if err != nil {
		return "", "", err
	}
	var c struct {
		Config struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return "", "", err
	}
	return c.Config.Labels["com.docker.compose.project"], c.Config.Labels["com.docker.compose.project.working_dir"], nil
}

// dataRoot is the folder in which the engine keeps its files.
func dataRoot(settings string) string {
	const usual = "/var/lib/docker"
	data, err := os.ReadFile(settings)
	if errors.Is(err, fs.ErrNotExist) {
		return usual
	}
	var s struct {
		Root string `json:"data-root"`
	}
	// Unreadable settings would have kept the engine from starting.
	if err != nil || json.Unmarshal(data, &s) != nil || s.Root == "" {
		return usual
	}
	return s.Root
}

func short(id string) string { return id[:min(12, len(id))] }
