package images

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// fakeEngine keeps images in memory.
type fakeEngine struct {
	mu         sync.Mutex
	images     map[string]docker.Image // by id
	tags       map[string]string       // REPOSITORY:TAG to id
	containers []docker.Container
	details    map[string]docker.Details
	inUse      map[string]bool // ids that containers have
	// pulls answers a pull of REPOSITORY@DIGEST or REPOSITORY:TAG.
	pulls  map[string]func() (docker.Image, error)
	pulled []string
	// loads is what a stream's text makes.
	loads map[string]docker.Image
	// loadedAs gives loaded images another id, as another kind of store does.
	loadedAs map[string]string
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{images: map[string]docker.Image{}, tags: map[string]string{}, details: map[string]docker.Details{},
		inUse: map[string]bool{}, pulls: map[string]func() (docker.Image, error){}, loads: map[string]docker.Image{}, loadedAs: map[string]string{}}
}

// add has an image here, under names.
func (e *fakeEngine) add(i docker.Image, names ...string) {
	e.images[i.ID] = i
	for _, name := range names {
		e.tags[name] = i.ID
	}
}

func (e *fakeEngine) find(ref string) (docker.Image, bool) {
	if i, found := e.images[ref]; found {
		return i, true
	}
	t, err := parse(ref)
	if err != nil {
		return docker.Image{}, false
	}
	if id, found := e.tags[t.String()]; found {
		i, found := e.images[id]
		return i, found
	}
	for _, i := range e.images {
		if slices.Contains(i.Digests, t.String()) {
			return i, true
		}
	}
	return docker.Image{}, false
}

func (e *fakeEngine) Info(context.Context) (docker.Info, error) {
	return docker.Info{Root: "/nowhere", Platform: "linux/amd64"}, nil
}
func (e *fakeEngine) Containers(context.Context) ([]docker.Container, error) {
	return e.containers, nil
}
func (e *fakeEngine) Inspect(_ context.Context, name string) (docker.Details, error) {
	return e.details[name], nil
}

func (e *fakeEngine) InspectImage(_ context.Context, ref string) (docker.Image, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i, found := e.find(ref)
	if !found {
		return docker.Image{}, &docker.Error{Op: "look at image " + ref, Status: http.StatusNotFound, Text: "No such image"}
	}
	i.Tags = nil
	for name, id := range e.tags {
		if id == i.ID {
			i.Tags = append(i.Tags, name)
		}
	}
	return i, nil
}

func (e *fakeEngine) TagImage(_ context.Context, id, repository, tag string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tags[repository+":"+tag] = id
	return nil
}

func (e *fakeEngine) RemoveImage(_ context.Context, ref string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inUse[ref] {
		return &docker.Error{Op: "remove image " + ref, Status: http.StatusConflict, Text: "a container has it"}
	}
	delete(e.images, ref)
	return nil
}

func (e *fakeEngine) Pull(_ context.Context, p docker.Pull) error {
	e.mu.Lock()
	answer := e.pulls[p.String()]
	e.pulled = append(e.pulled, p.String())
	e.mu.Unlock()
	if answer == nil {
		return &docker.Error{Op: "pull " + p.String(), Status: 404, Text: "manifest unknown"}
	}
	i, err := answer()
	if err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.add(i)
		if !strings.Contains(p.Tag, ":") {
			e.tags[p.String()] = i.ID
		}
	}
	return err
}

func (e *fakeEngine) Load(_ context.Context, _ string, in io.Reader, _ time.Duration, progress docker.Progress) ([]string, error) {
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	progress("", int64(len(data)), 0)
	i, known := e.loads[string(data)]
	if !known {
		return nil, errors.New("unexpected EOF")
	}
	if id := e.loadedAs[i.ID]; id != "" {
		i.ID = id
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.add(i)
	return []string{i.ID}, nil
}

func (e *fakeEngine) Save(context.Context, string, io.Writer, time.Duration) error { return nil }

// fakePeers answers for the other nodes.
type fakePeers struct {
	manifests map[string]Manifest
	exports   map[string]string // an image's stream by its id
	exported  []string
}

func (p *fakePeers) Manifest(_ context.Context, n config.Node) (Manifest, error) {
	if m, found := p.manifests[n.Name]; found {
		return m, nil
	}
	return Manifest{}, errors.New("it can't be reached")
}

func (p *fakePeers) Export(_ context.Context, _ config.Node, id string, read func(io.Reader) error) error {
	p.exported = append(p.exported, id)
	stream, found := p.exports[id]
	if !found {
		return errors.New("no such image there")
	}
	return read(strings.NewReader(stream))
}

// rig is a standby whose peer a is active.
type rig struct {
	*Node
	engine   *fakeEngine
	peers    *fakePeers
	projects []compose.ProjectImages
	now      time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.SetRole(state.RoleFile{Role: state.RoleStandby, Term: 2}); err != nil {
		t.Fatal(err)
	}
	nodes := []config.Node{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	r := &rig{engine: newFakeEngine(), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		peers: &fakePeers{manifests: map[string]Manifest{}, exports: map[string]string{}}}
	r.Node = &Node{
		Config: &config.Config{Nodes: nodes, Images: config.Images{Parallel: 1, Stall: time.Second, FetchTimeout: time.Second}},
		Self:   nodes[1], State: dir, Engine: r.engine, Peers: r.peers, Runner: run.New(zerolog.Nop()),
		Projects:    func(context.Context) ([]compose.ProjectImages, error) { return r.projects, nil },
		Credentials: Credentials{Dir: t.TempDir()},
		Free:        func(string) (int64, error) { return 1 << 40, nil }, Log: zerolog.Nop(),
		Now: func() time.Time { return r.now },
	}
	return r
}

// project adds a project that names images.
func (r *rig) project(name string, refs ...string) {
	p := compose.ProjectImages{Name: name}
	for _, ref := range refs {
		p.Images = append(p.Images, compose.Image{Ref: ref, Services: []string{"app"}})
	}
	r.projects = append(r.projects, p)
}

// active has node a be active and run images under names.
func (r *rig) active(runs map[string]docker.Image) {
	m := Manifest{Node: "a", Role: state.RoleActive, Term: 3, Platform: "linux/amd64"}
	for ref, i := range runs {
		m.Images = append(m.Images, Entry{Project: "p", Ref: ref, Running: true, Image: i})
	}
	r.peers.manifests["a"] = m
}

func (r *rig) sync(t *testing.T, o Options) (*Result, error) {
	t.Helper()
	result, err := r.Sync(t.Context(), o)
	if result == nil {
		t.Fatal(err)
	}
	return result, err
}

func (r *rig) item(t *testing.T, result *Result, ref string) *Item {
	t.Helper()
	for _, i := range result.Images {
		if i.Ref == ref {
			return i
		}
	}
	t.Fatalf("nothing of %s", ref)
	return nil
}
