package compose

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/internal/testengine"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/run"
)

// TestMain lets this binary stand in for the docker program and its plugin: it
// notes how it was called and does what FAKE_DOCKER says.
func TestMain(m *testing.M) {
	program := filepath.Base(os.Args[0])
	if program != "docker" && program != "docker-compose" {
		os.Exit(m.Run())
	}
	call, err := json.Marshal(dockerCall{Program: program, Args: os.Args[1:], Env: os.Environ()})
	if err != nil {
		os.Exit(99)
	}
	log, err := os.OpenFile(os.Getenv("FAKE_DOCKER_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(99)
	}
	if _, err := log.Write(append(call, '\n')); err != nil {
		os.Exit(99)
	}
	switch does := os.Getenv("FAKE_DOCKER"); does {
	case "":
	case "hang":
		fmt.Fprintln(os.Stderr, " Container app-web-1  Creating")
		time.Sleep(time.Minute)
	case "no image":
		if strings.Contains(strings.Join(os.Args, " "), "--pull never") {
			// What docker compose 2.26 prints.
			fmt.Fprint(os.Stderr, " Network p_default  Creating\n Network p_default  Created\n Container p-db-1  Creating\nError response from daemon: No such image: nope:1\n")
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, does)
		os.Exit(1)
	}
}

type dockerCall struct {
	Program   string
	Args, Env []string
}

// box is a container of the engine that stands in.
type box struct {
	name, project, service, dir string
	state, restart, health      string
	exit                        int
	ignoresStop, ignoresKill    bool
	starting                    bool // somebody has asked for it
}

// fakeEngine is a Docker Engine that keeps containers and networks in memory.
type fakeEngine struct {
	t        *testing.T
	mu       sync.Mutex
	boxes    map[string]*box // by id
	networks map[string]bool
	calls    []string
	silent   bool
	stopping int // at the same time
	most     int
	onList   func(nth int) // called with mu held
	lists    int
	server   *http.Server
	gate     *testengine.Gate
}

// door is where the engine is asked: while it is silent, nothing gets through.
func (e *fakeEngine) door(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	silent := e.silent
	e.mu.Unlock()
	if silent {
		<-r.Context().Done()
		return
	}
	e.gate.ServeHTTP(w, r)
}

func (e *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path // without a version, which the gate has taken
	e.mu.Lock()
	defer e.mu.Unlock()
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if r.Method == http.MethodPost {
		e.calls = append(e.calls, strings.Join(parts[1:], " "))
	}
	switch {
	case path == "/containers/json":
		e.lists++
		if e.onList != nil {
			e.onList(e.lists)
		}
		e.answer(w, e.list())
	case path == "/networks/create":
		var in struct{ Name string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			e.t.Error(err)
		}
		e.networks[in.Name] = true
		w.WriteHeader(http.StatusCreated)
	case parts[0] == "networks":
		if !e.networks[parts[1]] {
			w.WriteHeader(http.StatusNotFound)
		}
	case parts[0] == "containers" && e.boxes[parts[1]] == nil:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodDelete && parts[0] == "containers":
		delete(e.boxes, parts[1])
		e.calls = append(e.calls, "remove "+parts[1])
		w.WriteHeader(http.StatusNoContent)
	case parts[0] == "containers":
		e.container(w, e.boxes[parts[1]], parts[1], parts[2])
	default:
		w.WriteHeader(http.StatusNotImplemented)
	}
}

func (e *fakeEngine) container(w http.ResponseWriter, b *box, id, what string) {
	switch what {
	case "json":
		if b.starting {
			e.mu.Unlock()
			time.Sleep(500 * time.Millisecond)
			e.mu.Lock()
			b.starting, b.state = false, "running"
		}
		state := map[string]any{"Status": b.state, "Running": b.state == "running" || b.state == "paused" || b.state == "restarting", "Paused": b.state == "paused", "Restarting": b.state == "restarting", "ExitCode": b.exit}
		if b.health != "" {
			state["Health"] = map[string]string{"Status": b.health}
		}
		e.answer(w, map[string]any{"Id": id, "Name": "/" + b.name, "State": state,
			"HostConfig": map[string]any{"RestartPolicy": map[string]string{"Name": b.restart}}, "Config": map[string]any{"Labels": b.labels()}})
	case "stop":
		e.stopping++
		e.most = max(e.most, e.stopping)
		e.mu.Unlock()
		time.Sleep(50 * time.Millisecond) // each takes its time: one after the other would show
		e.mu.Lock()
		e.stopping--
		if !b.ignoresStop {
			b.state = "exited"
		}
	case "kill":
		if !b.ignoresKill {
			b.state = "exited"
		}
	}
}

func (b *box) labels() map[string]string {
	if b.project == "" {
		return nil
	}
	return map[string]string{"com.docker.compose.project": b.project, "com.docker.compose.service": b.service, "com.docker.compose.project.working_dir": b.dir}
}

func (e *fakeEngine) list() []map[string]any {
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(e.boxes)) {
		b := e.boxes[id]
		list = append(list, map[string]any{"Id": id, "Names": []string{"/" + b.name}, "State": b.state, "Labels": b.labels()})
	}
	return list
}

func (e *fakeEngine) answer(w http.ResponseWriter, what any) {
	if err := json.NewEncoder(w).Encode(what); err != nil {
		e.t.Log(err) // whoever asked has gone
	}
}

// running are the names of the containers that run.
func (e *fakeEngine) running() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for _, b := range e.boxes {
		if b.state == "running" {
			names = append(names, b.name)
		}
	}
	slices.Sort(names)
	return names
}

// set changes the engine while it serves.
func (e *fakeEngine) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// newManager returns a manager on an engine with boxes, and the folder of its
// projects. Its cgroups are an empty folder.
func newManager(t *testing.T, boxes map[string]*box) (*Manager, *fakeEngine) {
	t.Helper()
	e := &fakeEngine{t: t, boxes: boxes, networks: map[string]bool{}}
	// Not t.TempDir: its name may be too long for a socket.
	dir, err := os.MkdirTemp("", "compose")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	e.gate = testengine.New(e, "1.24", "1.41")
	e.server = &http.Server{Handler: http.HandlerFunc(e.door)}
	go e.server.Serve(listener)
	t.Cleanup(func() {
		e.server.Close()
		os.RemoveAll(dir)
	})
	cfg := config.Services{Directory: "/srv/apps", Socket: socket, StopTimeout: time.Second, StartTimeout: 10 * time.Second, Pull: "never"}
	m := New(cfg, docker.New(socket), run.New(zerolog.Nop()), zerolog.Nop())
	m.groups = t.TempDir()
	m.settings = filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(m.settings, fmt.Appendf(nil, `{"data-root": %q}`, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	return m, e
}

// group makes a container's cgroup, whose processes die when they are told to.
func (e *fakeEngine) group(root, id string) {
	e.t.Helper()
	dir := filepath.Join(root, "system.slice", "docker-"+id+".scope")
	events := filepath.Join(dir, "cgroup.events")
	write(e.t, dir, map[string]string{"cgroup.events": "populated 1\n", "cgroup.kill": ""})
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if data, err := os.ReadFile(filepath.Join(dir, "cgroup.kill")); err == nil && len(data) > 0 {
				if err := os.WriteFile(events, []byte("populated 0\n"), 0o644); err != nil {
					e.t.Error(err)
				}
				e.set(func() {
					if b := e.boxes[id]; b != nil {
						b.state = "exited"
					}
				})
				return
			}
		}
	})
	e.t.Cleanup(func() { close(stop); done.Wait() })
}
