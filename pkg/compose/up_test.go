package compose

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/docker"
)

// standIn puts this binary on PATH as docker. What it returns lists the calls.
func standIn(t *testing.T, does string) (calls func() []dockerCall) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "docker")); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	t.Setenv("PATH", dir)
	t.Setenv("FAKE_DOCKER", does)
	t.Setenv("FAKE_DOCKER_LOG", log)
	return func() (list []dockerCall) {
		file, err := os.Open(log)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var c dockerCall
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			list = append(list, c)
		}
		return list
	}
}

var app = Project{Name: "app", Directory: "/srv/apps/app", Files: []string{"/srv/apps/app/a.yaml", "/srv/apps/app/b.yaml"}, Services: []Service{{Name: "web"}}}

func TestUp(t *testing.T) {
	id := strings.Repeat("a", 64)
	m, _ := newManager(t, map[string]*box{id: {name: "app-web-1", project: "app", service: "web", state: "running"}})
	calls := standIn(t, "")
	for _, name := range []string{"COMPOSE_FILE", "COMPOSE_PROFILES", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY"} {
		t.Setenv(name, "x")
	}
	t.Setenv("DOCKER_CONFIG", "/etc/docker-cli")
	if err := m.Up(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	got := calls()
	if len(got) != 1 {
		t.Fatalf("docker was called %d times", len(got))
	}
	want := "--host unix://" + m.engine.Socket() + " compose --ansi never --progress quiet -p app --project-directory /srv/apps/app -f /srv/apps/app/a.yaml -f /srv/apps/app/b.yaml up -d --pull never --no-build"
	if line := strings.Join(got[0].Args, " "); line != want {
		t.Errorf("called with %s\nwant        %s", line, want)
	}
	for _, pair := range got[0].Env {
		if strings.HasPrefix(pair, "COMPOSE_") || strings.HasPrefix(pair, "DOCKER_") && pair != "DOCKER_CONFIG=/etc/docker-cli" {
			t.Errorf("it was given %s", pair)
		}
	}
	if !slices.Contains(got[0].Env, "PWD=/srv/apps/app") || !slices.Contains(got[0].Env, "DOCKER_CONFIG=/etc/docker-cli") {
		t.Errorf("it was given %q", got[0].Env)
	}
	if known := m.Known(); !slices.Equal(known, []string{id}) {
		t.Errorf("known are %q", known)
	}
}

func TestUpWithoutImage(t *testing.T) {
	for pull, want := range map[string][]string{"never": {"never"}, "missing": {"never", "missing"}} {
		m, _ := newManager(t, nil)
		m.cfg.Pull = pull
		calls := standIn(t, "no image")
		err := m.Up(t.Context(), app)
		var got []string
		for _, c := range calls() {
			got = append(got, c.Args[slices.Index(c.Args, "--pull")+1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("pull: %s: called with %q, want %q", pull, got, want)
		}
		if pull == "missing" {
			if err != nil {
				t.Errorf("the image was fetched, and yet: %v", err)
			}
			continue
		}
		failed, ok := errors.AsType[*UpError](err)
		if !ok || !failed.Missing || err.Error() != "start project app: No such image: nope:1" || !strings.Contains(failed.Hint(), "image-sync") {
			t.Errorf("got %v", err)
		}
	}
}

// A docker compose that was killed while it made a container again has left one
// that was never started, and fails on it ever after.
func TestUpClearsWhatAnEndedStartHasLeft(t *testing.T) {
	m, e := newManager(t, map[string]*box{
		"left":    {name: "a2e86233b9e0_app-web-1", project: "app", state: "created"},
		"old":     {name: "app-web-1", project: "app", state: "exited"},
		"new":     {name: "app-db-1", project: "app", state: "created"},
		"another": {name: "a2e86233b9e0_other", project: "other", state: "created"},
		"running": {name: "b2e86233b9e0_app-x", project: "app", state: "running"},
	})
	calls := standIn(t, `Error response from daemon: Conflict. The container name "/a2e86233b9e0_app-web-1" is already in use by container "left".`)
	if err := m.Up(t.Context(), app); err == nil {
		t.Error("the stand-in fails each time")
	}
	if len(calls()) != 2 {
		t.Errorf("called %d times, want another try", len(calls()))
	}
	if !slices.Equal(e.calls, []string{"remove left"}) {
		t.Errorf("removed %q", e.calls)
	}
	if err := m.Up(t.Context(), app); err == nil || len(calls()) != 3 {
		t.Errorf("nothing was left, and yet it was tried again: called %d times, %v", len(calls()), err)
	}
}

func TestUpFails(t *testing.T) {
	m, e := newManager(t, nil)
	m.cfg.Pull = "missing"
	calls := standIn(t, "driver failed programming external connectivity: port is already allocated")
	err := m.Up(t.Context(), app)
	if failed, ok := errors.AsType[*UpError](err); !ok || failed.Missing || !strings.Contains(err.Error(), "port is already allocated") || len(calls()) != 1 {
		t.Errorf("called %d times: %v", len(calls()), err)
	}
	if err := m.Up(t.Context(), Project{Name: "empty"}); err != nil || len(calls()) != 1 {
		t.Errorf("a project without services: %v", err)
	}
	broken := &LoadError{File: "x", Err: errors.New("y")}
	if err := m.Up(t.Context(), Project{Name: "bad", Err: broken}); !errors.Is(err, broken) || len(calls()) != 1 {
		t.Errorf("a project that can't be loaded: %v", err)
	}
	e.server.Close()
	err = m.Up(t.Context(), app)
	if down, ok := errors.AsType[*docker.Error](err); !ok || len(calls()) != 1 || !strings.Contains(down.Hint(), "systemctl start docker") {
		t.Errorf("no engine: called %d times, %v", len(calls()), err)
	}
}

func TestUpSilentEngine(t *testing.T) {
	m, e := newManager(t, nil)
	e.set(func() { e.silent = true })
	calls := standIn(t, "hang")
	began := time.Now()
	err := m.Up(t.Context(), app)
	if !docker.IsDown(err) || !strings.Contains(err.Error(), "does not answer") || len(calls()) != 0 {
		t.Errorf("called %d times: %v", len(calls()), err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestUpEnds(t *testing.T) {
	m, _ := newManager(t, nil)
	calls := standIn(t, "hang")
	m.cfg.StartTimeout = 500 * time.Millisecond
	began := time.Now()
	err := m.Up(t.Context(), app)
	if err == nil || !strings.Contains(err.Error(), "start_timeout") || time.Since(began) > 8*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	m.cfg.StartTimeout = time.Minute
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for t.Context().Err() == nil && len(calls()) < 2 {
			time.Sleep(10 * time.Millisecond)
		}
		cancel(errors.New("a newer request"))
	}()
	began = time.Now()
	err = m.Up(ctx, app)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "a newer request") || time.Since(began) > 8*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// The texts are what docker compose 2.26 prints.
func TestReason(t *testing.T) {
	for _, c := range []struct {
		stderr, want string
		missing      bool
	}{
		{"", "", false},
		{" Container p-db-1  Creating\n Container p-db-1  Created\n", "", false},
		{" Network p_default  Creating\nError response from daemon: No such image: nope:1\n", "No such image: nope:1", true},
		{" web Pulling \n db Pulling \n db Error pull access denied for nope, repository does not exist\nError response from daemon: pull access denied for nope\n", "db Error pull access denied for nope, repository does not exist", true},
		{"time=\"2026-01-01T00:00:00Z\" level=warning msg=\"/srv/compose.yml: `version` is obsolete\"\nnetwork proxy declared as external, but could not be found\n", "network proxy declared as external, but could not be found", false},
		{" Container p-db-1  Error\ndependency failed to start: container p-db-1 is unhealthy\n", "dependency failed to start: container p-db-1 is unhealthy", false},
	} {
		if got := reason(c.stderr); got != c.want || missing(c.stderr) != c.missing {
			t.Errorf("%q\n gives %q, missing %v\n want  %q", c.stderr, got, missing(c.stderr), c.want)
		}
	}
}

func TestNetworks(t *testing.T) {
	m, e := newManager(t, nil)
	m.cfg.Networks = []string{"proxy"}
	e.networks["db"] = true
	if err := m.Networks(t.Context(), []Project{{Networks: []string{"db", "proxy"}}, {Networks: []string{"mail"}}}); err != nil {
		t.Fatal(err)
	}
	if !e.networks["proxy"] || !e.networks["mail"] || len(e.calls) != 2 {
		t.Errorf("networks %v after %q", e.networks, e.calls)
	}
	e.server.Close()
	if err := m.Networks(t.Context(), nil); !docker.IsDown(err) {
		t.Errorf("no engine: %v", err)
	}
}

func TestServing(t *testing.T) {
	t.Parallel()
	const p = "app"
	for _, c := range []struct {
		what  string
		boxes map[string]*box
		want  string // of the error
		soon  bool   // not waited for
	}{
		{"it runs", map[string]*box{"1": {project: p, service: "web", state: "running"}}, "", true},
		{"healthy", map[string]*box{"1": {project: p, service: "web", state: "running", health: "healthy"}}, "", true},
		{"its job is done", map[string]*box{"1": {project: p, service: "web", state: "running"}, "2": {project: p, service: "web", state: "exited", restart: "no"}}, "", true},
		{"remains", map[string]*box{"1": {project: p, service: "web", state: "running"}, "2": {name: "app-web-run-0123456789ab", project: p, service: "web", state: "exited", exit: 1},
			"3": {project: p, service: "gone", state: "exited", exit: 1}}, "", true},
		{"starting", map[string]*box{"1": {name: "w", project: p, service: "web", state: "running", health: "starting"}}, "container w is starting", false},
		{"no container", map[string]*box{"1": {project: "other", service: "web", state: "running"}}, "service web has no container", false},
		{"crash loop", map[string]*box{"1": {name: "w", project: p, service: "web", state: "restarting", exit: 3}}, "container w restarts again and again (exit code 3)", false},
		{"paused", map[string]*box{"1": {name: "w", project: p, service: "web", state: "paused"}}, "container w is paused", false},
		{"failed for good", map[string]*box{"1": {name: "w", project: p, service: "web", state: "exited", exit: 2, restart: "no"}}, "container w has ended with exit code 2", true},
		{"ended, restarts", map[string]*box{"1": {name: "w", project: p, service: "web", state: "exited", restart: "always"}}, "container w has ended with exit code 0", false},
	} {
		m, _ := newManager(t, c.boxes)
		ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
		err := m.Serving(ctx, app)
		waited := ctx.Err() != nil
		cancel()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || waited == c.soon {
			t.Errorf("%s: waited to the end %v, %v", c.what, waited, err)
		}
		if failed, ok := errors.AsType[*NotServingError](err); err != nil && (!ok || failed.Hint() == "" || waited && !errors.Is(err, context.DeadlineExceeded)) {
			t.Errorf("%s: %#v", c.what, err)
		}
	}
}

func TestServingWaits(t *testing.T) {
	t.Parallel()
	b := &box{project: "app", service: "web", state: "running", health: "starting"}
	m, e := newManager(t, map[string]*box{"1": b})
	e.onList = func(nth int) {
		if nth == 3 {
			b.health = "healthy"
		}
	}
	if err := m.Serving(t.Context(), app); err != nil || e.lists < 3 {
		t.Errorf("after %d looks: %v", e.lists, err)
	}
}
