package docker

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/internal/testengine"
)

// serve starts an engine on a socket that answers by handler.
func serve(t *testing.T, handler http.HandlerFunc) *Engine {
	t.Helper()
	return New(testengine.Serve(t, testengine.New(handler, "1.24", "1.43")))
}

func TestContainers(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/containers/json" || r.URL.Query().Get("all") != "1" || !strings.Contains(r.URL.Query().Get("filters"), labelProject) {
			t.Errorf("asked for %s", r.URL)
		}
		w.Write([]byte(`[
			{"Id":"b1","Names":["/web-b-1"],"Image":"b:1","ImageID":"sha256:b","State":"exited","Labels":{"com.docker.compose.project":"web","com.docker.compose.service":"b","com.docker.compose.project.working_dir":"/srv/web"}},
			{"Id":"a1","Names":["/web-a-1"],"Image":"a:1","ImageID":"sha256:a","State":"paused","Labels":{"com.docker.compose.project":"web","com.docker.compose.service":"a"}}]`))
	})
	got, err := e.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Container{ID: "b1", Name: "web-b-1", Project: "web", Service: "b", WorkingDir: "/srv/web", Image: "b:1", ImageID: "sha256:b", State: "exited"}
	if len(got) != 2 || got[1] != want {
		t.Fatalf("got %+v", got)
	}
	if !got[0].Up() || got[1].Up() {
		t.Errorf("a paused container has a process, an exited one has none: %+v", got)
	}
}

// What a stopped container says of its health is what it was before.
func TestInspect(t *testing.T) {
	for _, c := range []struct{ state, health string }{
		{`{"Status":"running","Running":true,"Health":{"Status":"unhealthy"},"StartedAt":"2026-01-02T03:04:05.678Z"}`, "unhealthy"},
		{`{"Status":"running","Running":true}`, ""},
		{`{"Status":"exited","Running":false,"ExitCode":137,"Health":{"Status":"unhealthy"}}`, ""},
	} {
		e := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"Id":"x","Name":"/traefik","Image":"sha256:i","State":` + c.state + `,"HostConfig":{"RestartPolicy":{"Name":"always"}},"Config":{"Image":"traefik:3"},
				"NetworkSettings":{"Networks":{"none":{"IPAddress":""},"proxy":{"IPAddress":"172.18.0.2"}},
					"Ports":{"8080/tcp":[{"HostIp":"127.0.0.1","HostPort":"9000"}],"53/udp":[{"HostIp":"0.0.0.0","HostPort":"53"}],"80/tcp":null}}}`))
		})
		d, err := e.Inspect(t.Context(), "traefik")
		if err != nil {
			t.Fatal(err)
		}
		if d.Name != "traefik" || d.Restart != "always" || d.Health != c.health || d.ImageID != "sha256:i" {
			t.Errorf("%s: got %+v", c.state, d)
		}
		if want := (Port{Host: "127.0.0.1", Port: "9000", Inside: "172.18.0.2:8080"}); len(d.Published) != 1 || d.Published[0] != want {
			t.Errorf("published %+v, want %+v", d.Published, want)
		}
	}
}

func TestMissingIsAnAnswer(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		w.Write([]byte(`{"message":"No such image: x"}`))
	})
	if here, err := e.HasImage(t.Context(), "registry.local:5000/a/b@sha256:1"); here || err != nil {
		t.Errorf("image: %v, %v", here, err)
	}
	if err := errors.Join(e.Stop(t.Context(), "x", time.Second), e.Kill(t.Context(), "x")); err != nil {
		t.Errorf("a container that is gone needs no end: %v", err)
	}
	if _, err := e.Inspect(t.Context(), "x"); !NotFound(err) || IsDown(err) || !strings.Contains(err.Error(), "No such image: x") {
		t.Errorf("inspect: %v", err)
	}
}

func TestEnsureNetwork(t *testing.T) {
	for _, c := range []struct {
		name         string
		find, create int
		made, fails  bool
	}{
		{"there", 200, 500, false, false},
		{"made", 404, 201, true, false},
		{"made by another meanwhile", 404, 409, false, false},
		{"refused", 404, 500, false, true},
	} {
		e := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(c.create)
			} else {
				w.WriteHeader(c.find)
			}
		})
		made, err := e.EnsureNetwork(t.Context(), "proxy")
		if made != c.made || err != nil != c.fails {
			t.Errorf("%s: %v, %v", c.name, made, err)
		}
	}
}

// An engine that boots, hangs or is not there is told apart from one that says
// no, within the deadline.
func TestDown(t *testing.T) {
	silent := New(testengine.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	started := time.Now()
	err := silent.Ping(ctx)
	if !IsDown(err) || !strings.Contains(err.Error(), "does not answer") || time.Since(started) > 2*time.Second {
		t.Errorf("silent, after %s: %v", time.Since(started), err)
	}
	missing := New(filepath.Join(t.TempDir(), "docker.sock"))
	err = missing.Ping(t.Context())
	failed, ok := errors.AsType[*Error](err)
	if !IsDown(err) || !ok || !strings.Contains(err.Error(), "does not run") || !strings.Contains(failed.Hint(), "services.socket") {
		t.Errorf("missing: %v", err)
	}
	dead := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
	if err := New(dead).Ping(t.Context()); !IsDown(err) || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("a socket without an engine: %v", err)
	}
}

func TestGroups(t *testing.T) {
	root := t.TempDir()
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	for dir, events := range map[string]string{
		"system.slice/docker-" + a + ".scope": "populated 1\nfrozen 0\n",
		"docker/" + b:                         "populated 0\nfrozen 0\n",
		"system.slice/ssh.service":            "populated 1\n",
	} {
		path := filepath.Join(root, dir)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "cgroup.events"), []byte(events), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	groups, err := Groups(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 1 || !strings.HasSuffix(groups[a], "docker-"+a+".scope") {
		t.Errorf("got %v", groups)
	}
}
