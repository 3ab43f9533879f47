package compose

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/run"
)

// Manager starts and stops projects on this machine. It may be used by several
// goroutines at the same time.
type Manager struct {
	cfg    config.Services
	engine *docker.Engine
	runner run.Programs
	log    zerolog.Logger
	// groups is where the kernel shows its cgroups, and settings the engine's
	// own configuration.
	groups, settings string
	// docker is the program that has plugins in the folders.
	docker  string
	plugins []string

	mu    sync.Mutex
	known map[string]bool
}

// New returns a manager. Nothing is asked or started yet.
func New(cfg config.Services, engine *docker.Engine, runner run.Programs, log zerolog.Logger) *Manager {
	return &Manager{cfg: cfg, engine: engine, runner: runner, log: log,
		groups: docker.CgroupRoot, settings: "/etc/docker/daemon.json", docker: systemDocker, plugins: systemPlugins(), known: map[string]bool{}}
}

// Known returns the ids of our containers as they were last seen, sorted. Kept
// in a file and given to SetKnown by a later process, they let Stop end the
// containers while the engine does not answer.
func (m *Manager) Known() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.known))
}

// SetKnown replaces the ids of our containers.
func (m *Manager) SetKnown(ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = map[string]bool{}
	for _, id := range ids {
		m.known[id] = true
	}
}

func (m *Manager) knows(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[id]
}

// Networks makes the networks that are missing: those of services.networks and
// the external ones of projects. A failure does not stop the others.
func (m *Manager) Networks(ctx context.Context, projects []Project) error {
	names := slices.Clone(m.cfg.Networks)
	for _, p := range projects {
		names = append(names, p.Networks...)
	}
	slices.Sort(names)
	var errs []error
	for _, name := range slices.Compact(names) {
		made, err := m.engine.EnsureNetwork(ctx, name)
		if err != nil {
			errs = append(errs, err)
		}
		if docker.IsDown(err) {
			break // so would all others be
		}
		if made {
			m.log.Info().Str("network", name).Msg("made a network that was missing")
		}
	}
	return errors.Join(errs...)
}

// Running lists the containers of projects that have a process. A container
// whose project lies under services.directory is one of them also when that
// project is in the configuration no longer, or under another name.
func (m *Manager) Running(ctx context.Context, projects []Project) ([]docker.Container, error) {
	containers, err := m.containers(ctx, projects)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(containers))
	for i, c := range containers {
		ids[i] = c.ID // a stopped one too: it may be started later
	}
	m.SetKnown(ids)
	return slices.DeleteFunc(containers, func(c docker.Container) bool { return !c.Up() }), nil
}

// containers lists our containers in any state.
func (m *Manager) containers(ctx context.Context, projects []Project) ([]docker.Container, error) {
	all, err := m.engine.Containers(ctx)
	if err != nil {
		return nil, err
	}
	ours := m.owner(projects)
	return slices.DeleteFunc(all, func(c docker.Container) bool { return !ours(c.Project, c.WorkingDir) }), nil
}

// owner returns what tells our containers by their labels.
func (m *Manager) owner(projects []Project) func(project, dir string) bool {
	names := map[string]bool{}
	for _, p := range projects {
		names[p.Name] = true
	}
	var folders []string
	if m.cfg.Directory != "" {
		folders = append(folders, filepath.Clean(m.cfg.Directory))
		if real, err := filepath.EvalSymlinks(m.cfg.Directory); err == nil {
			folders = append(folders, real)
		}
	}
	return func(project, dir string) bool {
		if project == "" {
			return false
		}
		under := func(folder string) bool {
			return dir == folder || strings.HasPrefix(dir, strings.TrimSuffix(folder, "/")+"/")
		}
		return names[project] || slices.ContainsFunc(folders, under)
	}
}
