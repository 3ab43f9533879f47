package images

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
)

func image(id string, digests ...string) docker.Image {
	return docker.Image{ID: "sha256:" + id, Digests: digests, Platform: "linux/amd64", Layers: []string{"layer of " + id}}
}

func wantOf(t *testing.T, ref string) *want {
	t.Helper()
	target, err := parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	return &want{ref: ref, target: target}
}

func TestDecide(t *testing.T) {
	none, v1, v2 := docker.Image{}, image("1", "web@sha256:d1"), image("2", "web@sha256:d2")
	built := image("3")
	// As an engine with another kind of store, or of machine, has it.
	alike := v1
	alike.ID, alike.Layers = "sha256:4", []string{"others"}
	const pinned = "web@sha256:1111111111111111111111111111111111111111111111111111111111111111"
	for _, c := range []struct {
		name       string
		ref        string
		policy     policy
		active     docker.Image
		here, byID docker.Image
		built      bool
		action     Action
	}{
		{"the same", "web:1", follow, v1, v1, none, false, Current},
		{"the same version for another machine", "web:1", follow, v1, alike, none, false, Current},
		{"an older one", "web:1", follow, v2, v1, none, false, Pull},
		{"a newer one", "web:1", follow, v1, v2, none, false, Pull},
		{"under another name", "web:1", follow, v1, v2, v1, false, Tag},
		{"none", "web:1", follow, v1, none, none, false, Pull},
		{"built there", "web:1", follow, built, none, none, true, Copy},
		{"built there, another here", "web:1", follow, built, v1, none, true, Copy},
		{"not on the active node", "web:1", follow, none, none, none, false, Pull},
		{"not on the active node, but here", "web:1", follow, none, v1, none, false, Current},
		{"built nowhere", "web:1", follow, none, none, none, true, Missing},
		{"a digest that is here", pinned, follow, v2, v1, none, false, Current},
		{"a digest that is not", pinned, follow, v1, none, none, false, Pull},
		{"active: here", "web:1", look, none, v1, none, false, Current},
		{"active: not here", "web:1", look, none, none, none, false, Missing},
		{"update", "web:1", update, none, v1, none, false, Ask},
		{"update of none", "web:1", update, none, none, none, false, Pull},
		{"update of a built one", "web:1", update, none, built, none, true, Current},
		{"update of a built one that is not here", "web:1", update, none, none, none, true, Missing},
		{"update of a digest", pinned, update, none, v1, none, false, Current},
		{"alone: here", "web:1", fill, none, v1, none, false, Current},
		{"alone: not here", "web:1", fill, none, none, none, false, Pull},
		{"alone: built", "web:1", fill, none, none, none, true, Missing},
	} {
		w := wantOf(t, c.ref)
		w.image, w.built = c.active, c.built
		if got := decide(w, c.policy, c.here, c.byID); got != c.action {
			t.Errorf("%s: %s instead of %s", c.name, got, c.action)
		}
	}
}

func TestParse(t *testing.T) {
	const digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	for ref, want := range map[string]string{
		"traefik":                      "traefik:latest docker.io library/traefik",
		"docker.io/library/traefik:v3": "traefik:v3 docker.io library/traefik",
		"ghcr.io/a/b:1":                "ghcr.io/a/b:1 ghcr.io a/b",
		"127.0.0.1:5000/app":           "127.0.0.1:5000/app:latest 127.0.0.1:5000 app",
		"traefik:v3@" + digest:         "traefik@" + digest + " docker.io library/traefik",
		"registry.local/x@" + digest:   "registry.local/x@" + digest + " registry.local x",
	} {
		got, err := parse(ref)
		if text := got.String() + " " + got.Host + " " + got.Path; err != nil || text != want {
			t.Errorf("%s: %s, %v", ref, text, err)
		}
	}
	for _, ref := range []string{"", "Web:1", "web:", "web@sha256:1"} {
		if got, err := parse(ref); err == nil {
			t.Errorf("%q is %v", ref, got)
		}
	}
}

// One image is fetched once, however many projects name it in whatever words.
func TestCollect(t *testing.T) {
	wants, bad := collect([]compose.ProjectImages{
		{Name: "a", Images: []compose.Image{{Ref: "web", Off: true}, {Ref: "x", Off: true}, {Ref: "No:1"}}},
		{Name: "b", Images: []compose.Image{{Ref: "docker.io/library/web:latest"}, {Ref: "web", Platform: "linux/arm64"}}},
	})
	if len(wants) != 3 || len(bad) != 1 {
		t.Fatalf("%d wants, %v", len(wants), bad)
	}
	if w := wants[0]; fmt.Sprint(w.projects) != "[a b]" || w.off || !wants[1].off || wants[2].platform != "linux/arm64" {
		t.Errorf("%+v", w)
	}
}

// The words are those of engines 20.10 to 28 and of registries.
func TestKindOf(t *testing.T) {
	engine := func(text string) error { return &docker.Error{Op: "pull x:1", Status: 500, Text: text} }
	for _, c := range []struct {
		err  error
		want kind
	}{
		{engine("toomanyrequests: You have reached your pull rate limit"), limited},
		{engine("error pulling image configuration: download failed after attempts=1: toomanyrequests: as the lab wants it"), limited},
		{engine("unexpected status from HEAD request to https://x/v2/a/manifests/1: 429 Too Many Requests"), limited},
		{engine("received unexpected HTTP status: 503 Service Unavailable"), down},
		{engine(`Get "https://x/v2/": dial tcp 127.0.0.1:5000: connect: connection refused`), down},
		{engine(`Get "https://x/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)`), down},
		{engine(`Get "https://x/v2/": dial tcp: lookup x: no such host`), down},
		{engine("error pulling image configuration: download failed after attempts=6: EOF"), down},
		{engine("manifest for x:none not found: manifest unknown: Unknown manifest"), permanent},
		{engine("pull access denied for x, repository does not exist or may require 'docker login': denied: requested access"), permanent},
		{engine("no matching manifest for linux/amd64 in the manifest list entries"), permanent},
		{engine("filesystem layer verification failed for digest sha256:5030"), corrupt},
		{engine("manifest for app:429 not found: manifest unknown"), permanent},
		{engine("manifest verification failed for digest sha256:429"), corrupt},
		{engine("write /var/lib/docker/tmp/GetImageBlob1: no space left on device"), full},
		{&docker.StallError{What: "x"}, down},
		{&docker.Error{Op: "pull x", Err: errors.New("EOF")}, noEngine},
		{&StatusError{Ref: "x", Status: 429}, limited},
		{&StatusError{Ref: "x", Status: 502}, down},
		{&StatusError{Ref: "x", Status: 404}, permanent},
	} {
		if got := kindOf(fmt.Errorf("wrapped: %w", c.err)); got != c.want {
			t.Errorf("%v: %d instead of %d", c.err, got, c.want)
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		image, wanted string
		fits          bool
	}{
		{"linux/amd64", "linux/amd64", true}, {"linux/amd64", "linux/arm64", false},
		{"linux/arm64/v8", "linux/arm64", true}, {"linux/arm/v6", "linux/arm/v7", false}, {"linux/amd64", "linux", true},
	} {
		if got := fits(c.image, c.wanted); got != c.fits {
			t.Errorf("%s for %s: %v", c.image, c.wanted, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{"7": 7 * time.Second, "0": 0, "Fri, 02 Jan 2026 03:05:05 GMT": time.Minute} {
		if at, given := retryAfter(text, now); !given || at.Sub(now) != want {
			t.Errorf("%q: %s, %v", text, at.Sub(now), given)
		}
	}
	for _, text := range []string{"", "soon", "-1"} {
		if at, given := retryAfter(text, now); given {
			t.Errorf("%q: %s", text, at)
		}
	}
}

func TestMissingBytes(t *testing.T) {
	wanted := docker.Image{Size: 400, Layers: []string{"a", "b", "c", "d"}}
	for _, c := range []struct {
		here []string
		want int64
	}{{nil, 400}, {[]string{"a", "b", "x"}, 200}, {[]string{"x", "b"}, 400}, {wanted.Layers, 0}} {
		if got := missingBytes(wanted, docker.Image{Layers: c.here}); got != c.want {
			t.Errorf("%q: %d instead of %d", c.here, got, c.want)
		}
	}
}

func TestSpaceIsHandedOutOnce(t *testing.T) {
	s := &space{free: func(string) (int64, error) { return reserve + 100, nil }}
	done, err := s.take("a", 60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.take("b", 60); err == nil {
		t.Error("more than there is")
	}
	done()
	done() // once more changes nothing
	if _, err := s.take("b", 100); err != nil {
		t.Error(err)
	}
	if _, err := s.take("c", 1); err == nil {
		t.Error("more than there is")
	}
	blind := &space{free: func(string) (int64, error) { return 0, errors.New("not there") }}
	if _, err := blind.take("a", 1<<40); err != nil {
		t.Error(err)
	}
}
