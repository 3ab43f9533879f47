package compose

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	idA = strings.Repeat("a", 64)
	idB = strings.Repeat("b", 64)
	idC = strings.Repeat("c", 64)
	idD = strings.Repeat("d", 64)
)

func TestStop(t *testing.T) {
	t.Parallel()
	m, e := newManager(t, map[string]*box{
		idA:      {name: "app-web-1", project: "app", state: "running", dir: "/elsewhere"},
		idB:      {name: "old-db-1", project: "old", state: "running", dir: "/srv/apps/old"},
		idC:      {name: "near", project: "near", state: "running", dir: "/srv/apps2/near"},
		idD:      {name: "alone", state: "running"},
		"paused": {name: "app-p-1", project: "app", state: "paused"},
		"loops":  {name: "app-l-1", project: "app", state: "restarting"},
		"off":    {name: "app-o-1", project: "app", state: "exited"},
	})
	running, err := m.Running(t.Context(), []Project{app})
	if err != nil || len(running) != 4 {
		t.Errorf("running are %+v, %v", running, err)
	}
	if known := m.Known(); len(known) != 5 || slices.Contains(known, idC) || slices.Contains(known, idD) {
		t.Errorf("known are %q", known)
	}
	if err := m.Stop(t.Context(), []Project{app}, 0); err != nil {
		t.Fatal(err)
	}
	if got := e.running(); !slices.Equal(got, []string{"alone", "near"}) {
		t.Errorf("still running are %q", got)
	}
	if e.most < 4 {
		t.Errorf("%d were stopped at the same time", e.most)
	}
	if slices.ContainsFunc(e.calls, func(c string) bool { return strings.HasSuffix(c, "kill") }) {
		t.Errorf("they were killed: %q", e.calls)
	}
	e.calls = nil
	if err := m.Stop(t.Context(), []Project{app}, 0); err != nil || len(e.calls) != 0 {
		t.Errorf("stopped again: %v, %q", err, e.calls)
	}
}

func TestStopStubborn(t *testing.T) {
	t.Parallel()
	m, e := newManager(t, map[string]*box{
		idA: {name: "app-a-1", project: "app", state: "running", ignoresStop: true},
		idB: {name: "app-b-1", project: "app", state: "running", ignoresStop: true, ignoresKill: true},
	})
	e.group(m.groups, idB)
	if err := m.Stop(t.Context(), []Project{app}, time.Second); err != nil {
		t.Fatal(err)
	}
	if got := e.running(); len(got) != 0 {
		t.Errorf("still running are %q", got)
	}
	if want := idA + " kill"; !slices.Contains(e.calls, want) {
		t.Errorf("calls were %q", e.calls)
	}
}

func TestStopInVain(t *testing.T) {
	t.Parallel()
	m, e := newManager(t, map[string]*box{idA: {name: "app-a-1", project: "app", state: "running", ignoresStop: true, ignoresKill: true}})
	e.set(func() {
		e.boxes[idB] = &box{name: "app-b-1", project: "app", state: "running"}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := m.Stop(ctx, []Project{app}, 0)
	failed, ok := errors.AsType[*StillRunningError](err)
	if !ok || !slices.Equal(failed.Names, []string{"app-a-1"}) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(failed.Hint(), "docker kill app-a-1") {
		t.Errorf("got %v", err)
	}
}

func TestStopLateContainer(t *testing.T) {
	t.Parallel()
	m, e := newManager(t, map[string]*box{idA: {name: "app-a-1", project: "app", state: "running"}})
	e.onList = func(nth int) {
		if nth == 3 { // after one look that showed none
			e.boxes[idB] = &box{name: "app-late-1", project: "app", state: "running"}
		}
	}
	if err := m.Stop(t.Context(), []Project{app}, 0); err != nil {
		t.Fatal(err)
	}
	if got := e.running(); len(got) != 0 || e.boxes[idB] == nil {
		t.Errorf("still running are %q after %d looks", got, e.lists)
	}
}

// A start that the engine is busy with does not show in its list.
func TestStopWaitsForStarts(t *testing.T) {
	t.Parallel()
	m, e := newManager(t, map[string]*box{
		idA: {name: "app-a-1", project: "app", state: "exited", starting: true},
		idB: {name: "other", project: "other", state: "exited", starting: true},
	})
	if err := m.Stop(t.Context(), []Project{app}, 0); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(e.calls, idA+" stop") || e.boxes[idB].state != "exited" {
		t.Errorf("calls were %q", e.calls)
	}
}

func TestStopWithoutEngine(t *testing.T) {
	t.Parallel()
	m, e := newManager(t, nil)
	for _, id := range []string{idA, idB, idC, idD} {
		e.group(m.groups, id)
	}
	e.server.Close()
	m.SetKnown([]string{idA})
	root := dataRoot(m.settings)
	for id, dir := range map[string]string{idB: "/srv/apps/b", idC: "/elsewhere/c"} {
		write(t, filepath.Join(root, "containers", id), map[string]string{"config.v2.json": `{"Config":{"Labels":{"com.docker.compose.project":"x","com.docker.compose.project.working_dir":"` + dir + `"}}}`})
	}
	write(t, filepath.Join(root, "containers", idD), map[string]string{"config.v2.json": `{"Config":{"Labels":null}}`})
	if err := m.Stop(t.Context(), []Project{app}, 0); err != nil {
		t.Fatal(err)
	}
	for id, killed := range map[string]bool{idA: true, idB: true, idC: false, idD: false} {
		data, err := os.ReadFile(filepath.Join(m.groups, "system.slice", "docker-"+id+".scope", "cgroup.events"))
		if err != nil || strings.Contains(string(data), "populated 0") != killed {
			t.Errorf("%s: killed should be %v, %v", id[:3], killed, err)
		}
	}
}

// Whose a container is can't always be told: that is no success.
func TestStopUnclearWithoutEngine(t *testing.T) {
	t.Parallel()
	m, e := newManager(t, nil)
	e.group(m.groups, idA)
	e.server.Close()
	err := m.Stop(t.Context(), []Project{app}, 0)
	if failed, ok := errors.AsType[*StillRunningError](err); !ok || !slices.Equal(failed.Names, []string{idA[:12]}) {
		t.Errorf("got %v", err)
	}
	m.groups = filepath.Join(m.groups, "none")
	err = m.Stop(t.Context(), []Project{app}, 0)
	if failed, ok := errors.AsType[*StillRunningError](err); !ok || len(failed.Names) != 0 || !strings.Contains(err.Error(), "not known") {
		t.Errorf("without cgroups: %v", err)
	}
}

// The engine's socket accepts and says nothing.
func TestStopSilentEngine(t *testing.T) {
	t.Parallel()
	m, e := newManager(t, map[string]*box{idA: {name: "app-a-1", project: "app", state: "running"}})
	e.group(m.groups, idA)
	if _, err := m.Running(t.Context(), []Project{app}); err != nil {
		t.Fatal(err)
	}
	e.set(func() { e.silent = true })
	began := time.Now()
	if err := m.Stop(t.Context(), []Project{app}, 0); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); len(e.running()) != 0 || took > 9*time.Second {
		t.Errorf("still running are %q after %s", e.running(), took)
	}
}

// A Stop that is called off kills nothing.
func TestStopCalledOff(t *testing.T) {
	t.Parallel()
	m, e := newManager(t, map[string]*box{idA: {name: "app-a-1", project: "app", state: "running"}})
	e.group(m.groups, idA)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("a newer request"))
	err := m.Stop(ctx, []Project{app}, 0)
	if _, ok := errors.AsType[*StillRunningError](err); !ok || !strings.Contains(err.Error(), "a newer request") || len(e.running()) != 1 {
		t.Errorf("running %q, %v", e.running(), err)
	}
}

// The engine is upgraded while the watcher runs: the next call speaks another version
// of its API.
func TestUpgradedEngine(t *testing.T) {
	m, e := newManager(t, map[string]*box{"1": {name: "app-web-1", project: "app", state: "running"}})
	if running, err := m.Running(t.Context(), []Project{app}); err != nil || len(running) != 1 {
		t.Fatalf("%+v, %v", running, err)
	}
	e.gate.Upgrade("1.44", "1.52")
	if err := m.Networks(t.Context(), []Project{{Networks: []string{"proxy"}}}); err != nil || !e.networks["proxy"] {
		t.Errorf("networks: %v", err)
	}
	if err := m.Stop(t.Context(), []Project{app}, time.Second); err != nil || len(e.running()) != 0 {
		t.Errorf("stop: %v, %q still run", err, e.running())
	}
}
