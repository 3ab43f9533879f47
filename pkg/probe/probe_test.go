package probe_test

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/probe"
	"github.com/understudy-ha/understudy/pkg/state"
)

// engine is a simulated Docker Engine.
type engine struct {
	container docker.Details
	err       error // of everything
	missing   bool  // the container
	images    []string
	hangs     bool
	api       string
	patience  atomic.Int64 // the longest deadline of a call
}

var down = &docker.Error{Op: "ask", Err: errors.New("down")}

func (e *engine) wait(ctx context.Context) error {
	patience := time.Duration(math.MaxInt64)
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	e.patience.Store(max(e.patience.Load(), int64(patience)))
	if e.hangs {
		<-ctx.Done()
		return &docker.Error{Op: "ask", Err: ctx.Err()}
	}
	return e.err
}

func (e *engine) API() string   { return e.api }
func (e *engine) SetAPI(string) {}

func (e *engine) Ping(ctx context.Context) error { return e.wait(ctx) }

func (e *engine) Inspect(ctx context.Context, _ string) (docker.Details, error) {
	if err := e.wait(ctx); err != nil {
		return docker.Details{}, err
	}
	if e.missing {
		return docker.Details{}, &docker.Error{Status: http.StatusNotFound}
	}
	return e.container, nil
}

func (e *engine) HasImage(ctx context.Context, ref string) (bool, error) {
	if err := e.wait(ctx); err != nil {
		return false, err
	}
	for _, image := range e.images {
		if image == ref {
			return true, nil
		}
	}
	return false, nil
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fixture is a healthy node.
type fixture struct {
	probe  *probe.Probe
	engine *engine
	role   state.RoleFile
	status int // of the ping
	silent bool
}

func newFixture(t *testing.T, role state.Role) *fixture {
	t.Helper()
	f := &fixture{status: http.StatusOK, role: state.RoleFile{Role: role, Since: now.Add(-time.Hour), Boot: "this"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.silent {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(f.status)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	kstat := filepath.Join(dir, "kstat")
	pool(t, kstat, "tank", "ONLINE")
	states, err := state.Open(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	f.engine = &engine{images: []string{"sha256:1"}, container: docker.Details{
		Container: docker.Container{Image: "traefik:3", ImageID: "sha256:1", State: "running"}, Running: true,
	}}
	f.probe = &probe.Probe{
		Config: &config.Config{
			RunDir:      filepath.Join(dir, "run"),
			Replication: config.Replication{Datasets: []config.Dataset{{Name: "tank/data"}, {Name: "tank/more"}}},
			Probe:       config.Probe{Container: "traefik", Ping: server.URL, Grace: time.Minute, HoldDown: time.Minute},
			Witness:     config.Witness{Timeout: 300 * time.Millisecond},
		},
		State: states, Engine: f.engine, Kstat: kstat, Boot: "this", Now: func() time.Time { return now },
	}
	return f
}

func pool(t *testing.T, kstat, name, condition string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(kstat, name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(kstat, name, "state"), []byte(condition+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) run(t *testing.T) probe.Result {
	t.Helper()
	if err := f.probe.State.Write("role", f.role); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	result := f.probe.Run(t.Context())
	if patience := time.Duration(f.engine.patience.Load()); patience > probe.Limit {
		t.Errorf("a call of the engine may take %s", patience)
	}
	// Hanging calls never end; the rest is the load of the machine.
	if took := time.Since(began); took > probe.Limit+5*time.Second {
		t.Errorf("took %s", took)
	}
	return result
}

// silentAddress returns an address that accepts connections and does not answer.
func silentAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return "http://" + listener.Addr().String()
}

func TestVerdicts(t *testing.T) {
	const healthy = ""
	for name, c := range map[string]struct {
		role   state.Role
		change func(*testing.T, *fixture)
		want   string // part of the only failure; empty: healthy
		warn   string
	}{
		"active": {state.RoleActive, nil, healthy, ""},
		"active, exited": {state.RoleActive, func(_ *testing.T, f *fixture) {
			f.engine.container.Running, f.engine.container.State = false, "exited"
		}, "container: traefik is not running (exited", ""},
		"active, paused":       {state.RoleActive, func(_ *testing.T, f *fixture) { f.engine.container.Paused = true }, "is paused", ""},
		"active, restarting":   {state.RoleActive, func(_ *testing.T, f *fixture) { f.engine.container.Restarting = true }, "restarting", ""},
		"active, unhealthy":    {state.RoleActive, func(_ *testing.T, f *fixture) { f.engine.container.Health = "unhealthy" }, "is unhealthy", ""},
		"active, starting":     {state.RoleActive, func(_ *testing.T, f *fixture) { f.engine.container.Health = "starting" }, healthy, ""},
		"active, no container": {state.RoleActive, func(_ *testing.T, f *fixture) { f.engine.missing = true }, "no container", ""},
		"active, 503":          {state.RoleActive, func(_ *testing.T, f *fixture) { f.status = 503 }, "answers 503", ""},
		"active, redirect":     {state.RoleActive, func(_ *testing.T, f *fixture) { f.status = 302 }, "answers 302", ""},
		"active, ping hangs":   {state.RoleActive, func(_ *testing.T, f *fixture) { f.silent = true }, "ping: ", ""},
		"active, engine down":  {state.RoleActive, func(_ *testing.T, f *fixture) { f.engine.err = down }, healthy, "but Traefik does"},
		"active, engine hangs": {state.RoleActive, func(_ *testing.T, f *fixture) { f.engine.hangs = true }, healthy, "but Traefik does"},
		"just active, silent": {state.RoleActive, func(_ *testing.T, f *fixture) {
			f.role.Since, f.status = now.Add(-10*time.Second), 503
		}, healthy, "50 s left"},
		"just active, exited": {state.RoleActive, func(_ *testing.T, f *fixture) {
			f.role.Since, f.engine.container.Running = now.Add(-10*time.Second), false
		}, "is not running", ""},
		"just active, had answered": {state.RoleActive, func(t *testing.T, f *fixture) {
			f.role.Since, f.status = now.Add(-10*time.Second), 503
			if err := probe.WriteRecord(f.probe.Config.RunDir, probe.Result{Answered: now.Add(-5 * time.Second)}); err != nil {
				t.Fatal(err)
			}
		}, "answers 503", ""},
		"active, pool suspended": {state.RoleActive, func(t *testing.T, f *fixture) { pool(t, f.probe.Kstat, "tank", "SUSPENDED") }, "pool: tank is SUSPENDED", ""},
		"active, pool degraded":  {state.RoleActive, func(t *testing.T, f *fixture) { pool(t, f.probe.Kstat, "tank", "DEGRADED") }, healthy, "tank is DEGRADED"},
		"active, pool gone": {state.RoleActive, func(t *testing.T, f *fixture) {
			if err := os.RemoveAll(filepath.Join(f.probe.Kstat, "tank")); err != nil {
				t.Fatal(err)
			}
		}, "pool: tank is not imported", ""},
		"no kernel with ZFS": {state.RoleActive, func(_ *testing.T, f *fixture) { f.probe.Kstat += "-none" }, healthy, ""},
		"active, cut off": {state.RoleActive, func(t *testing.T, f *fixture) {
			f.probe.Config.Witness.Targets = []string{silentAddress(t)}
		}, "witness: no witness answers", ""},
		"active, one witness of two": {state.RoleActive, func(t *testing.T, f *fixture) {
			f.probe.Config.Witness.Targets = []string{silentAddress(t), f.probe.Config.Probe.Ping}
		}, healthy, ""},
		"active in an earlier boot": {state.RoleActive, func(_ *testing.T, f *fixture) { f.role.Boot, f.status = "other", 503 }, healthy, ""},

		"promoting, gets on": {state.RolePromoting, func(_ *testing.T, f *fixture) {
			f.role.Transition, f.engine.missing, f.status = &state.Transition{Updated: now.Add(-59 * time.Second)}, true, 503
		}, healthy, ""},
		"promoting, stuck": {state.RolePromoting, func(_ *testing.T, f *fixture) {
			f.role.Transition, f.status = &state.Transition{Updated: now.Add(-61 * time.Second)}, 503
		}, "answers 503", ""},
		"promoting, pool suspended": {state.RolePromoting, func(t *testing.T, f *fixture) {
			f.role.Transition = &state.Transition{Updated: now}
			pool(t, f.probe.Kstat, "tank", "SUSPENDED")
		}, "SUSPENDED", ""},

		"handing over, engine busy": {state.RoleDemoting, func(_ *testing.T, f *fixture) {
			f.role.Transition, f.engine.hangs, f.status = &state.Transition{Handover: "b", Updated: now.Add(-59 * time.Second)}, true, 503
		}, healthy, ""},
		"handing over, stuck": {state.RoleDemoting, func(_ *testing.T, f *fixture) {
			f.role.Transition, f.engine.images = &state.Transition{Handover: "b", Updated: now.Add(-61 * time.Second)}, nil
		}, "image: traefik:3 is missing on this node", ""},

		"standby":               {state.RoleStandby, func(_ *testing.T, f *fixture) { f.engine.container.Running, f.status = false, 503 }, healthy, ""},
		"demoting":              {state.RoleDemoting, func(_ *testing.T, f *fixture) { f.engine.container.Running, f.status = false, 503 }, healthy, ""},
		"unknown":               {state.RoleUnknown, func(_ *testing.T, f *fixture) { f.engine.container.Running, f.status = false, 503 }, healthy, ""},
		"standby, image gone":   {state.RoleStandby, func(_ *testing.T, f *fixture) { f.engine.images = nil }, "image: traefik:3 is missing on this node", ""},
		"standby, nothing made": {state.RoleStandby, func(_ *testing.T, f *fixture) { f.engine.missing = true }, healthy, ""},
		"standby, image of the project here": {state.RoleStandby, func(t *testing.T, f *fixture) {
			f.engine.missing, f.engine.images = true, []string{"traefik:4"}
			projects(t, f, "traefik", "traefik:4")
		}, healthy, ""},
		"standby, image of the project not here": {state.RoleStandby, func(t *testing.T, f *fixture) {
			f.engine.missing = true
			projects(t, f, "traefik", "traefik:4")
		}, "image: traefik:4 is missing on this node", ""},
		"standby, named by Compose": {state.RoleStandby, func(t *testing.T, f *fixture) {
			f.engine.missing, f.probe.Config.Probe.Container = true, "edge-proxy-1"
			projects(t, f, "", "traefik:4")
		}, "image: traefik:4 is missing on this node", ""},
		"standby, held": {state.RoleStandby, func(t *testing.T, f *fixture) {
			if err := f.probe.State.Write("eligibility", state.Eligibility{Reasons: []state.Ineligible{{Kind: state.IneligibleHold, Text: "new disks"}}}); err != nil {
				t.Fatal(err)
			}
		}, "hold: new disks", ""},
		"fault, just lost the address": {state.RoleFault, func(_ *testing.T, f *fixture) {
			f.role.Since, f.role.Transition = now.Add(-20*time.Second), &state.Transition{From: state.RoleActive}
		}, "unhealthy for another 40 s", ""},
		"fault, over": {state.RoleFault, func(_ *testing.T, f *fixture) {
			f.role.Since, f.role.Transition = now.Add(-61*time.Second), &state.Transition{From: state.RoleActive}
		}, healthy, ""},
		"fault, was a standby": {state.RoleFault, func(_ *testing.T, f *fixture) {
			f.role.Since, f.role.Transition = now, &state.Transition{From: state.RoleStandby}
		}, healthy, ""},
		"fault, clock set back": {state.RoleFault, func(_ *testing.T, f *fixture) {
			f.role.Since, f.role.Transition = now.Add(time.Hour), &state.Transition{From: state.RoleActive}
		}, healthy, ""},
		"nothing to probe": {state.RoleActive, func(_ *testing.T, f *fixture) {
			f.probe.Config.Probe.Container, f.probe.Config.Probe.Ping, f.engine.err = "", "", down
		}, healthy, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.role)
			if c.change != nil {
				c.change(t, f)
			}
			result := f.run(t)
			failures := result.Failures()
			if c.want == "" && (!result.Healthy || len(failures) > 0) {
				t.Errorf("not healthy: %v", failures)
			}
			if c.want != "" && (result.Healthy || len(failures) != 1 || !strings.Contains(failures[0], c.want)) {
				t.Errorf("failures %q, want %q alone", failures, c.want)
			}
			if warnings := strings.Join(result.Warnings(), "\n"); !strings.Contains(warnings, c.warn) || c.warn == "" && warnings != "" {
				t.Errorf("warnings %q, want %q", warnings, c.warn)
			}
		})
	}
}

func projects(t *testing.T, f *fixture, container, image string) {
	t.Helper()
	err := f.probe.State.Write("projects", []map[string]any{{
		"name": "edge", "services": []map[string]string{{"name": "proxy", "container": container, "image": image}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// If the engine is down or hangs on a standby, exactly the checks that need it fail.
func TestStandbyWithoutEngine(t *testing.T) {
	for _, hangs := range []bool{true, false} {
		f := newFixture(t, state.RoleStandby)
		f.engine.hangs, f.engine.err = hangs, down
		result := f.run(t)
		if failures := result.Failures(); result.Healthy || len(failures) != 2 || !strings.HasPrefix(failures[0], "engine") {
			t.Errorf("hangs %v: %q", hangs, failures)
		}
	}
}

// If the engine is down and Traefik does not answer, the node is unhealthy.
func TestActiveWithoutAnything(t *testing.T) {
	f := newFixture(t, state.RoleActive)
	f.engine.hangs, f.silent = true, true
	if result := f.run(t); result.Healthy || len(result.Failures()) != 2 {
		t.Errorf("%q", result.Failures())
	}
}

// The proxies of a killed engine end with it. The check then asks the container at its
// last known address, as long as it is the same container.
func TestEngineKilled(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*testing.T, *fixture)
		healthy bool
	}{
		"answers inside":      {nil, true},
		"answers 503 inside":  {func(_ *testing.T, f *fixture) { f.status = 503 }, false},
		"silent inside":       {func(_ *testing.T, f *fixture) { f.silent = true }, false},
		"nothing known":       {func(t *testing.T, f *fixture) { f.forget(t) }, false},
		"from before a break": {func(t *testing.T, f *fixture) { f.wasStandby(t) }, false},
		"engine answers":      {func(_ *testing.T, f *fixture) { f.engine.err = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, state.RoleActive)
			inside := strings.TrimPrefix(f.probe.Config.Probe.Ping, "http://")
			// No process listens on port 1, as if the proxy were gone.
			f.probe.Config.Probe.Ping = "http://127.0.0.1:1/ping"
			f.engine.container.Published = []docker.Port{
				{Host: "192.0.2.1", Port: "1", Inside: "192.0.2.2:1"}, {Host: "0.0.0.0", Port: "80", Inside: "192.0.2.2:80"},
				{Host: "127.0.0.1", Port: "1", Inside: inside},
			}
			f.record(t)
			f.engine.err = down
			if c.change != nil {
				c.change(t, f)
			}
			result := f.run(t)
			if result.Healthy != c.healthy {
				t.Errorf("healthy %v: %v, %v", result.Healthy, result.Failures(), result.Warnings())
			}
			if c.healthy && (len(result.Warnings()) != 2 || !result.Answered.Equal(now)) {
				t.Errorf("answered %v, warnings %q", result.Answered, result.Warnings())
			}
			if silent := f.engine.err != nil; silent == result.EngineSilent.IsZero() {
				t.Errorf("engine silent since %v", result.EngineSilent)
			}
		})
	}
}

// record runs the check and records it for the next run.
func (f *fixture) record(t *testing.T) {
	t.Helper()
	if err := probe.WriteRecord(f.probe.Config.RunDir, f.run(t)); err != nil {
		t.Fatal(err)
	}
}

// forget removes the record, as a boot does.
func (f *fixture) forget(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(f.probe.Config.RunDir); err != nil {
		t.Fatal(err)
	}
}

// wasStandby runs the check once as a standby.
func (f *fixture) wasStandby(t *testing.T) {
	t.Helper()
	f.role.Role = state.RoleStandby
	f.record(t)
	f.role.Role = state.RoleActive
}

func TestUnreadableRole(t *testing.T) {
	f := newFixture(t, state.RoleActive)
	if err := os.WriteFile(filepath.Join(f.probe.State.Path(), "role.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	result := f.probe.Run(t.Context())
	if failures := result.Failures(); result.Healthy || len(failures) != 1 || !strings.HasPrefix(failures[0], "state: ") {
		t.Errorf("%q", failures)
	}
}

func TestRecord(t *testing.T) {
	f := newFixture(t, state.RoleActive)
	if _, found, err := state.Lazy(f.probe.Config.RunDir).Probe(); found || err != nil {
		t.Fatalf("found %v, error %v", found, err)
	}
	f.status = 500
	result := f.run(t)
	if err := probe.WriteRecord(f.probe.Config.RunDir, result); err != nil {
		t.Fatal(err)
	}
	record, found, err := state.Lazy(f.probe.Config.RunDir).Probe()
	if err != nil || !found || record.Healthy || !record.Time.Equal(now) || len(record.Failures) != 1 {
		t.Errorf("%+v, found %v, error %v", record, found, err)
	}
	entries, err := os.ReadDir(f.probe.Config.RunDir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v is left, error %v", entries, err)
	}
}
