package images

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/internal/testengine"
	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/images/record"
	"github.com/understudy-ha/understudy/pkg/state"
)

// gives has the registry answer pulls with an image.
func (r *rig) gives(name string, i docker.Image) {
	r.engine.pulls[name] = func() (docker.Image, error) { return i, nil }
}

func (r *rig) refuses(name, text string) {
	r.engine.pulls[name] = func() (docker.Image, error) {
		return docker.Image{}, &docker.Error{Op: "pull " + name, Status: 500, Text: text}
	}
}

func digestOf(n string) string { return "sha256:" + strings.Repeat(n, 64) }

func TestSyncFollowsTheActiveNode(t *testing.T) {
	r := newRig(t)
	old, running := image("old", "web@"+digestOf("1")), image("running", "web@"+digestOf("2"))
	built := image("built")
	r.engine.add(old, "web:1")
	r.project("p", "web:1", "p-app")
	r.projects[0].Images[1].Built = true
	r.active(map[string]docker.Image{"web:1": running, "p-app": built})
	r.gives("web@"+digestOf("2"), running)
	r.peers.exports[built.ID], r.engine.loads["stream"] = "stream", built

	dry, err := r.sync(t, Options{DryRun: true})
	if err != nil || len(r.engine.pulled) > 0 || r.item(t, dry, "web:1").Action != Pull || r.item(t, dry, "p-app").Action != Copy {
		t.Errorf("dry run: %v, pulled %q", err, r.engine.pulled)
	}
	result, err := r.sync(t, Options{})
	if err != nil || !result.Complete || result.Active != "a" || r.engine.tags["web:1"] != running.ID || r.engine.tags["p-app:latest"] != built.ID {
		t.Fatalf("%v, %+v", err, r.engine.tags)
	}
	if i := r.item(t, result, "p-app"); i.Action != Copy || i.From != "a" || i.Bytes != 6 {
		t.Errorf("%+v", i)
	}
	last, _, err := record.Read(r.State)
	if err != nil || !last.Complete || len(last.Projects) != 2 {
		t.Fatalf("%v, %+v", err, last)
	}
	if s := last.Projects[0]; !s.Here || s.ID != running.ID || s.Digest != digestOf("2") || !s.WantedSince.Equal(r.now) {
		t.Errorf("%+v", s)
	}
	// Later, nothing is to be done, and it is wanted since then.
	before := r.now
	r.now = r.now.Add(time.Hour)
	again, err := r.sync(t, Options{})
	if err != nil || len(r.engine.pulled) != 1 || !again.Projects[0].WantedSince.Equal(before) {
		t.Errorf("%v, pulled %q, %+v", err, r.engine.pulled, again.Projects[0])
	}
}

// What a registry does not give comes from the active node, and from then on
// nobody waits for that registry.
func TestSyncCopiesWhatTheRegistryDoesNotGive(t *testing.T) {
	r := newRig(t)
	runs := map[string]docker.Image{}
	for _, n := range []string{"1", "2", "3"} {
		i := image(n, "web@"+digestOf(n))
		runs["web:"+n] = i
		r.refuses("web@"+digestOf(n), "dial tcp: connect: connection refused")
		r.peers.exports[i.ID], r.engine.loads[i.ID] = i.ID, i
	}
	r.project("p", "web:1", "web:2", "web:3")
	r.active(runs)
	result, err := r.sync(t, Options{})
	if err != nil || !result.Complete || len(r.peers.exported) != 3 || len(r.engine.pulled) != 1 {
		t.Errorf("%v, copied %q, pulled %q", err, r.peers.exported, r.engine.pulled)
	}
	if i := r.item(t, result, "web:2"); i.Action != Copy || !strings.Contains(i.Warning, "connection refused") {
		t.Errorf("%+v", i)
	}
}

// A name with a digest can't be given to a copy, so there is none, and it is said
// why.
func TestSyncDoesNotCopyWhatIsPinned(t *testing.T) {
	r := newRig(t)
	i := image("1", "web@"+digestOf("1"))
	ref := "web@" + digestOf("1")
	r.refuses(ref, "dial tcp: connect: connection refused")
	r.peers.exports[i.ID], r.engine.loads[i.ID] = i.ID, i
	r.project("p", ref)
	r.active(map[string]docker.Image{ref: i})
	result, err := r.sync(t, Options{})
	if err == nil || result.Complete || len(r.peers.exported) != 0 {
		t.Errorf("%v, copied %q", err, r.peers.exported)
	}
	if why := result.Projects[0].Why; !strings.Contains(why, "connection refused; its name has a digest, so it can't be copied") {
		t.Errorf("%q", why)
	}
}

// An engine that keeps images otherwise gives what it loads another id.
func TestSyncCopiesBetweenKindsOfStores(t *testing.T) {
	r := newRig(t)
	built := image("built")
	r.project("p", "made:1")
	r.active(map[string]docker.Image{"made:1": built})
	r.peers.exports[built.ID], r.engine.loads["x"] = "x", built
	r.engine.loadedAs[built.ID] = "sha256:other"
	if result, err := r.sync(t, Options{}); err != nil || !result.Complete || r.engine.tags["made:1"] != "sha256:other" {
		t.Errorf("%v, %+v", err, r.engine.tags)
	}
	if result, err := r.sync(t, Options{}); err != nil || r.item(t, result, "made:1").Action != Current {
		t.Errorf("again: %v", err)
	}
	// A stream that breaks off is no image.
	r.engine.images = map[string]docker.Image{}
	r.peers.exports[built.ID] = "half"
	result, err := r.sync(t, Options{})
	if incomplete, ok := errors.AsType[*IncompleteError](err); !ok || incomplete.ExitCode() != 3 || result.Complete {
		t.Errorf("%v", err)
	}
}

func TestSyncNamesWhatIsMissing(t *testing.T) {
	r := newRig(t)
	good := image("good", "good@"+digestOf("1"))
	r.project("p", "good:1", "bad:1")
	r.project("q", "bad:1")
	r.projects = append(r.projects, compose.ProjectImages{Name: "r", Problems: []string{"service x: env_file y is not here"}})
	r.gives("good:1", good)
	result, err := r.sync(t, Options{}) // and no active node is known
	if err == nil || err.Error() != "not complete: missing bad:1; project r: service x: env_file y is not here" {
		t.Errorf("%v", err)
	}
	if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "no active node") || r.engine.tags["good:1"] != good.ID {
		t.Errorf("%q", result.Warnings)
	}
	status, err := r.Status(t.Context())
	if err != nil || status.Complete || status.Err() == nil || !strings.Contains(status.Err().Error(), "missing bad:1") {
		t.Errorf("%+v, %v", status, err)
	}
	r.engine.add(image("bad"), "bad:1")
	if status, err := r.Status(t.Context()); err != nil || strings.Contains(status.Err().Error(), "missing") {
		t.Errorf("after it came: %v, %v", status.Err(), err)
	}
}

// The role decides what may be done.
func TestSyncByRole(t *testing.T) {
	r := newRig(t)
	one := image("1", "web@"+digestOf("1"))
	r.project("p", "web:1")
	r.active(map[string]docker.Image{"web:1": one})
	r.gives("web@"+digestOf("1"), one)
	result, err := r.Sync(t.Context(), Options{Update: true})
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.ExitCode() != 76 || len(result.Images) > 0 {
		t.Errorf("update of a standby: %v", err)
	}
	if err := r.State.SetRole(state.RoleFile{Role: state.RoleActive, Term: 4}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.sync(t, Options{}); err == nil || !strings.Contains(err.Error(), "missing web:1") || len(r.engine.pulled) > 0 {
		t.Errorf("the active node: %v, pulled %q", err, r.engine.pulled)
	}
	if _, err := r.sync(t, Options{From: "a"}); err != nil || len(r.engine.pulled) != 1 {
		t.Errorf("by name: %v, pulled %q", err, r.engine.pulled)
	}
	if _, err := r.Sync(t.Context(), Options{From: "b"}); err == nil {
		t.Error("a node does not follow itself")
	}
	lock, err := r.State.Lock("images")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	if result, err := r.Sync(t.Context(), Options{}); result != nil || err == nil {
		t.Errorf("two runs: %v", err)
	}
}

// What needs more room than there is does not begin; what needs less does.
func TestSyncLooksForRoom(t *testing.T) {
	r := newRig(t)
	large, fits := image("large", "large@"+digestOf("1")), image("fits", "fits@"+digestOf("2"))
	large.Size, fits.Size = 10<<30, 1<<20
	r.project("p", "large:1", "fits:1")
	r.active(map[string]docker.Image{"large:1": large, "fits:1": fits})
	r.gives("fits@"+digestOf("2"), fits)
	r.Free = func(string) (int64, error) { return 1 << 30, nil }
	result, err := r.sync(t, Options{})
	if err == nil || !strings.Contains(r.item(t, result, "large:1").Error, "10 GiB") || r.engine.tags["fits:1"] != fits.ID || len(r.engine.pulled) != 1 {
		t.Errorf("%v, pulled %q", err, r.engine.pulled)
	}
}

func TestSyncPlatforms(t *testing.T) {
	r := newRig(t)
	arm := image("1", "web@"+digestOf("1"))
	arm.Platform = "linux/arm64"
	mine := image("2", "web@"+digestOf("1"))
	r.project("p", "web:1")
	// The active node is of another kind: the same version for this kind.
	r.active(map[string]docker.Image{"web:1": arm})
	m := r.peers.manifests["a"]
	m.Platform = "linux/arm64"
	r.peers.manifests["a"] = m
	r.gives("web@"+digestOf("1"), mine)
	if result, err := r.sync(t, Options{}); err != nil || r.engine.tags["web:1"] != mine.ID || !result.Complete {
		t.Errorf("%v, %+v", err, r.engine.tags)
	}
	// One that is built there can't be had.
	r.active(map[string]docker.Image{"web:1": func() docker.Image { i := arm; i.Digests = nil; return i }()})
	m = r.peers.manifests["a"]
	m.Platform = "linux/arm64"
	r.peers.manifests["a"] = m
	r.engine.images = map[string]docker.Image{}
	r.peers.exports[arm.ID], r.engine.loads["x"] = "x", arm
	if result, err := r.sync(t, Options{}); err == nil || result.Complete {
		t.Errorf("%v", err)
	}
}

func TestManifest(t *testing.T) {
	r := newRig(t)
	old, newer := image("old"), image("new")
	newer.Created = time.Unix(9, 0)
	r.engine.add(old)
	r.engine.add(newer, "web:1", "idle:1")
	r.project("p", "web:1", "idle:1", "none:1")
	r.engine.containers = []docker.Container{
		{ID: "c1", Project: "p", Service: "app", Image: old.ID, ImageID: old.ID, State: "running"},
		{ID: "c2", Project: "p", Service: "app", Image: "web:1", ImageID: newer.ID, State: "exited"},
		{ID: "c3", Project: "other", Service: "app", Image: "web:1", ImageID: newer.ID, State: "running"},
	}
	r.engine.details["c1"] = docker.Details{Container: docker.Container{Image: "web:1"}}
	m, err := r.Manifest(t.Context())
	if err != nil || len(m.Images) != 2 || m.Role != state.RoleStandby || m.Term != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	if e := m.Images[0]; e.ID != old.ID || !e.Running {
		t.Errorf("the tag has moved, and the container runs the old one: %+v", e)
	}
	if e := m.Images[1]; e.Ref != "idle:1" || e.ID != newer.ID || e.Running {
		t.Errorf("without a container: %+v", e)
	}
	m.Images = append(m.Images, Entry{Project: "q", Ref: "docker.io/library/web:1", Running: true, Image: newer})
	if got, conflict := m.wanted("web:1"); got.ID != newer.ID || !strings.Contains(conflict, "p and q") {
		t.Errorf("%s, %q", got.ID, conflict)
	}
}

// Only what image-sync has brought is ever removed, and only when nobody names
// or has it any more.
func TestPrune(t *testing.T) {
	r := newRig(t)
	r.project("p", "web:1")
	versions := []docker.Image{image("0", "web@"+digestOf("0")), image("1", "web@"+digestOf("1")), image("2", "web@"+digestOf("2")), image("3", "web@"+digestOf("3"))}
	r.engine.add(image("theirs", "web@"+digestOf("9")))
	for i, v := range versions {
		r.now = r.now.Add(time.Hour)
		r.active(map[string]docker.Image{"web:1": v})
		r.gives(v.Digests[0], v)
		if i == 2 {
			r.engine.inUse[versions[1].ID] = true
		}
		if result, err := r.sync(t, Options{Keep: 1}); err != nil || i == 3 && len(result.Removed) != 0 && result.Removed[0] != "web:1 0" {
			t.Fatalf("%v, %q", err, result.Removed)
		}
	}
	left := func() (ids []string) {
		for id := range r.engine.images {
			ids = append(ids, strings.TrimPrefix(id, "sha256:"))
		}
		slices.Sort(ids)
		return ids
	}
	if got := left(); !slices.Equal(got, []string{"1", "2", "3", "theirs"}) {
		t.Errorf("left: %q", got)
	}
	r.engine.inUse = map[string]bool{}
	r.engine.tags["my-copy:1"] = versions[2].ID
	if _, err := r.sync(t, Options{Keep: 0}); err != nil {
		t.Fatal(err)
	}
	if got := left(); !slices.Equal(got, []string{"2", "3", "theirs"}) {
		t.Errorf("one that has another name stays: %q", got)
	}
	// While a project can't be read, its images are not known to be superseded.
	delete(r.engine.tags, "my-copy:1")
	r.projects = append(r.projects, compose.ProjectImages{Name: "q", Err: errors.New("broken")})
	if result, err := r.sync(t, Options{Keep: 0}); err == nil || len(result.Removed) != 0 {
		t.Errorf("%v, %q", err, result.Removed)
	}
}

// An engine that refuses all calls ends the run at once, with the way out, instead of
// one failure for each image.
func TestSyncEngineRefuses(t *testing.T) {
	r := newRig(t)
	r.project("p", "web:1", "web:2")
	gate := testengine.New(http.NotFoundHandler(), "1.60", "1.70")
	engine := docker.New(testengine.Serve(t, gate))
	r.Engine = engine
	_, err := r.sync(t, Options{})
	failed, ok := errors.AsType[*docker.Error](err)
	if !docker.IsRefused(err) || !ok || !strings.Contains(failed.Hint(), "newer release of Understudy") {
		t.Errorf("%v", err)
	}
	if kindOf(engine.Ping(t.Context())) != noEngine {
		t.Error("an image's failure")
	}
	// After an upgrade of the engine the same process continues.
	gate.Upgrade("1.24", "1.45")
	if err := engine.Ping(t.Context()); err != nil || engine.API() != "1.45" {
		t.Errorf("speaks %q: %v", engine.API(), err)
	}
}

// An engine with containerd's store that has the layers of an image already may pull
// no more than its name. That is noticed, and the active node's copy makes it whole.
func TestSyncHealsAnIncompleteImage(t *testing.T) {
	wanted := image("base", "web@"+digestOf("1"))
	part := wanted
	part.Platform, part.Layers = "/", nil
	for name, here := range map[string]bool{"pulled now": false, "pulled before": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.project("p", "web:1")
			r.active(map[string]docker.Image{"web:1": wanted})
			r.gives("web@"+digestOf("1"), part)
			if here {
				r.engine.add(part, "web:1")
			}
			r.peers.exports[wanted.ID], r.engine.loads["stream"] = "stream", wanted
			result, err := r.sync(t, Options{})
			if i := r.item(t, result, "web:1"); err != nil || i.Action != Copy || i.From != "a" || !result.Complete {
				t.Fatalf("%v, %+v", err, i)
			}
			if pulls := len(r.engine.pulled); here == (pulls > 0) {
				t.Errorf("%d pulls", pulls)
			}
			if again, err := r.sync(t, Options{}); err != nil || r.item(t, again, "web:1").Action != Current {
				t.Errorf("again: %v", err)
			}
		})
	}
	// Without anybody who has it whole, that is said, with the way out.
	r := newRig(t)
	r.project("p", "web:1")
	r.active(map[string]docker.Image{"web:1": wanted})
	r.gives("web@"+digestOf("1"), part)
	result, err := r.sync(t, Options{})
	if err == nil || result.Complete || !strings.Contains(r.item(t, result, "web:1").Warning, "in part only") {
		t.Errorf("%v, %+v", err, r.item(t, result, "web:1"))
	}
	if err := incomplete("web:1"); !strings.Contains(err.(*MissingError).Hint(), "docker load") {
		t.Errorf("%v", err)
	}
}

// A node tells others only of images that it has whole.
func TestManifestLeavesOutIncompleteImages(t *testing.T) {
	r := newRig(t)
	part := image("part")
	part.Platform = "/"
	r.engine.add(part, "web:1")
	r.engine.add(image("whole"), "web:2")
	r.project("p", "web:1", "web:2")
	m, err := r.Manifest(t.Context())
	if err != nil || len(m.Images) != 1 || m.Images[0].Ref != "web:2" || len(m.Problems) != 1 || !strings.Contains(m.Problems[0], "web:1 is here in part only") {
		t.Errorf("%v, %+v", err, m)
	}
}
