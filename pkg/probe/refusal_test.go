package probe_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/internal/testengine"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/probe"
	"github.com/understudy-ha/understudy/pkg/state"
)

// gated returns an engine with Traefik that accepts the versions from min to max. Each
// run of the check is a process of its own.
func gated(t *testing.T, f *fixture, min, max string) (gate *testengine.Gate, run func() probe.Result) {
	t.Helper()
	gate = testengine.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"Id":"1","Image":"sha256:1","State":{"Status":"running","Running":true},"Config":{"Image":"traefik:3"}}`)
	}), min, max)
	socket := testengine.Serve(t, gate)
	return gate, func() probe.Result {
		t.Helper()
		f.probe.Engine = docker.New(socket)
		result := f.run(t)
		if err := probe.WriteRecord(f.probe.Config.RunDir, result); err != nil {
			t.Fatal(err)
		}
		return result
	}
}

// The check runs each second, so it negotiates the engine's version once, and again
// after the engine was replaced.
func TestVersionIsRemembered(t *testing.T) {
	for role, calls := range map[state.Role]int{state.RoleActive: 1, state.RoleStandby: 3} {
		f := newFixture(t, role)
		gate, run := gated(t, f, "1.12", "1.41")
		step := func(when, api string, atMost int) {
			t.Helper()
			result := run()
			if got := gate.Calls(); !result.Healthy || result.EngineAPI != api || len(got) > atMost || len(result.Warnings()) > 0 {
				t.Errorf("%s, %s: speaks %q, %v, calls %q", role, when, result.EngineAPI, result.Failures(), got)
			}
		}
		step("first run", "1.41", 2*calls)
		step("second run", "1.41", calls)
		gate.Upgrade("1.44", "1.52")
		step("upgraded", "1.52", 3*calls)
		step("after that", "1.52", calls)
		if err := os.RemoveAll(filepath.Join(f.probe.Config.RunDir, probe.RecordFile)); err != nil {
			t.Fatal(err)
		}
		step("nothing known", "1.52", 2*calls)
	}
}

// An engine that refuses calls does not prove that Traefik is dead: the active node is
// healthy while Traefik answers, and a standby is unhealthy, with the engine's reason.
func TestRefusal(t *testing.T) {
	for name, versions := range map[string][2]string{"too old": {"1.12", "1.40"}, "too new": {"1.60", "1.70"}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, state.RoleActive)
			_, run := gated(t, f, versions[0], versions[1])
			result := run()
			warnings := strings.Join(result.Warnings(), "\n")
			if !result.Healthy || !strings.Contains(warnings, "share no API version") || !strings.Contains(warnings, "Traefik answers") {
				t.Errorf("active: %q, %q", result.Failures(), warnings)
			}
			if result.EngineSilent.IsZero() || !strings.Contains(result.EngineRefuses, "restarting") {
				t.Errorf("refuses since %s: %q", result.EngineSilent, result.EngineRefuses)
			}
			f.status = http.StatusServiceUnavailable
			if result := run(); result.Healthy || len(result.Failures()) != 2 {
				t.Errorf("active, and Traefik does not answer: %q", result.Failures())
			}
			f.status, f.role.Role = http.StatusOK, state.RoleStandby
			result = run()
			if failures := result.Failures(); result.Healthy || len(failures) != 2 || !strings.Contains(failures[0], "share no API version") || !strings.Contains(failures[0], "does not help") {
				t.Errorf("standby: %q", failures)
			}
		})
	}
}

// The same holds for an engine that answers with an error of its own.
func TestEngineFails(t *testing.T) {
	f := newFixture(t, state.RoleActive)
	f.engine.err = &docker.Error{Op: "look at container traefik", Status: 500, Text: "open /var/lib/docker: input/output error"}
	result := f.run(t)
	if warnings := strings.Join(result.Warnings(), "\n"); !result.Healthy || !strings.Contains(warnings, "input/output error; Traefik answers") {
		t.Errorf("%q, %q", result.Failures(), warnings)
	}
	f.silent = true
	if result := f.run(t); result.Healthy {
		t.Errorf("Traefik is silent: %+v", result.Checks)
	}
}
