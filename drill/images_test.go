//go:build drill

package drill

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	imagesync "github.com/understudy-ha/understudy/pkg/images"
)

// imagesScenario is a situation that images must survive.
type imagesScenario struct {
	name string
	do   func(*testing.T, *imagesDrill)
}

// TestImages lets image-sync bring the images of the active node to a standby,
// with a real engine and a real registry on each node, under all kinds of
// failures.
func TestImages(t *testing.T) {
	goThroughImages(t, classicStore, []imagesScenario{
		{"all kinds", allKinds},
		{"moved tag", movedTag},
		{"bad tag", badTag},
		{"rate limit", rateLimit},
		{"failing registry", failingRegistry},
		{"registry down", registryDown},
		{"built on the active", builtOnActive},
		{"killed", killedInTheMiddle},
		{"full disk", fullDisk},
		{"private under cron", privateUnderCron},
		{"unplugged", unplugged},
	})
}

// TestImagesContainerd repeats the scenarios that depend on the image store
// with containerd, the default of fresh installs since Docker 29.
func TestImagesContainerd(t *testing.T) {
	goThroughImages(t, containerdStore, []imagesScenario{
		{"all kinds", allKinds},
		{"moved tag", movedTag},
		{"bad tag", badTag},
		{"registry down", registryDown},
		{"built on the active", builtOnActive},
		{"killed", killedInTheMiddle},
		{"a containerd of its own", ownContainerd},
		{"unplugged", unplugged},
	})
}

func goThroughImages(t *testing.T, store string, list []imagesScenario) {
	t.Helper()
	if Kind() != lab.NS {
		t.Log("this runs with LAB=ns: it needs no ZFS, and its nodes are namespaces in any case")
		return
	}
	if os.Geteuid() != 0 {
		t.Fatal("the drill makes network namespaces, which needs root: sudo make drill")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	d := newImagesDrill(t, ctx, store)
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			record(t, s.name, nil)
			began := time.Now()
			d.afresh(t)
			s.do(t, d)
			t.Logf("%.1f s", time.Since(began).Seconds())
		})
	}
}

// allKinds covers images shared by four projects, images of disabled profiles
// and of volumes, and a project whose env_file is missing.
func allKinds(t *testing.T, d *imagesDrill) {
	for i, ref := range []string{"shared:1", "envless:1", "off:1", "volume:1"} {
		d.image(t, ref, 10+i, small)
	}
	for _, name := range []string{"p1", "p2", "p3", "p4"} {
		d.project(t, name, service(hub+"/shared:1"))
	}
	d.up(t, d.a, "missing", "p1", "p2")
	d.project(t, "envless", "services: {app: {image: "+hub+"/envless:1, env_file: gone.env}}\n")
	d.project(t, "kinds", `services:
  app: {image: `+hub+`/shared:1, volumes: [{type: image, source: "`+hub+`/volume:1", target: /v}]}
  rare: {image: `+hub+`/off:1, profiles: [rare]}
`)
	d.asked(t)
	plan := d.sync(t, d.b, "--dry-run")
	if plan.code != 0 || plan.item(t, "shared:1").Action != imagesync.Pull || d.id(t, d.b, "shared:1") != "" {
		t.Errorf("the dry run: code %d, %+v", plan.code, plan.item(t, "shared:1"))
	}
	s := d.sync(t, d.b)
	if s.code != 3 || s.Complete || !strings.Contains(s.stderr, "env_file") || !strings.Contains(s.stderr, "gone.env") || strings.Contains(s.stderr, "missing ") {
		t.Errorf("exit code %d:\n%s", s.code, s.stderr)
	}
	for _, ref := range []string{"shared:1", "envless:1", "off:1", "volume:1"} {
		came(t, s, ref, imagesync.Pull, hub)
		if d.id(t, d.b, ref) == "" {
			t.Errorf("%s is not here", ref)
		}
	}
	d.same(t, "shared:1")
	if p := s.item(t, "shared:1").Projects; len(p) != 5 {
		t.Errorf("shared:1 is of %q", p)
	}
	blobs := 0
	for _, line := range d.asked(t) {
		if strings.HasPrefix(line, "GET /v2/shared/manifests/") {
			blobs++
		}
	}
	if blobs > 1 {
		t.Errorf("the manifest of one image was fetched %d times", blobs)
	}
	// Present images cost the registry nothing.
	if s := d.sync(t, d.b); s.item(t, "shared:1").Action != imagesync.Current || len(d.asked(t)) > 1 {
		t.Errorf("%+v", s.item(t, "shared:1"))
	}
	status := d.shell(t, d.b, `image-sync status || [ $? = 3 ]`)
	if !strings.Contains(status, "p3") || !strings.Contains(status, "profile off") || !strings.Contains(status, "as a has them") {
		t.Errorf("status:\n%s", status)
	}
}

// movedTag moves a tag. The standby gets the image that the active node runs,
// not the newest, and removes only unused images.
func movedTag(t *testing.T, d *imagesDrill) {
	d.image(t, "moved:1", 20, small)
	d.image(t, "idle:1", 29, small) // named, without a container
	d.apps(t, "moved:1", "idle:1")
	d.up(t, d.a, "missing", "moved:1")
	d.shell(t, d.a, `docker pull -q "$1/idle:1"`, hub)
	d.complete(t, "moved:1", "idle:1")
	first := d.id(t, d.b, "moved:1")

	d.image(t, "moved:1", 21, small)
	came(t, d.complete(t, "moved:1"), "moved:1", imagesync.Current, "")
	d.clear(t)
	came(t, d.complete(t, "moved:1"), "moved:1", imagesync.Pull, hub)
	if id := d.id(t, d.b, "moved:1"); id != first {
		t.Errorf("the newest came: %s", id)
	}
	if s := d.sync(t, d.b, "--update"); s.code != 76 {
		t.Errorf("an update of a standby: exit code %d", s.code)
	}
	if s := d.sync(t, d.a); s.code != 0 || s.item(t, "moved:1").Action != imagesync.Current {
		t.Errorf("on the active node: exit code %d, %+v", s.code, s.item(t, "moved:1"))
	}
	if s := d.sync(t, d.a, "--update"); s.code != 0 || s.item(t, "moved:1").Action != imagesync.Pull || s.item(t, "idle:1").Action != imagesync.Current {
		t.Errorf("update: exit code %d, %+v\n%s", s.code, s.item(t, "moved:1"), s.stderr)
	}
	// It still runs the first.
	if s := d.sync(t, d.b); s.code != 0 || d.id(t, d.b, "moved:1") != first {
		t.Errorf("after the update: exit code %d, %s", s.code, d.id(t, d.b, "moved:1"))
	}
	d.up(t, d.a, "never", "moved:1")
	came(t, d.complete(t, "moved:1"), "moved:1", imagesync.Pull, hub)
	if d.shell(t, d.b, `docker image inspect -f x "$1"`, first) != "x" {
		t.Error("the superseded one did not stay")
	}
	s := d.sync(t, d.b, "--keep", "0")
	if len(s.Removed) != 1 || d.shell(t, d.b, `docker image inspect "$1" >/dev/null 2>&1 || echo gone`, first) != "gone" {
		t.Errorf("removed: %q\n%s", s.Removed, s.stderr)
	}
	d.same(t, "moved:1", "idle:1")
}

// badTag has one tag of three that exists nowhere.
func badTag(t *testing.T, d *imagesDrill) {
	d.image(t, "good:1", 30, small)
	d.image(t, "good:2", 31, small)
	d.apps(t, "good:1", "good:2", "good:none")
	s := d.sync(t, d.b)
	if s.code != 3 || !strings.Contains(s.stderr, "missing "+hub+"/good:none") || strings.Contains(s.stderr, "missing "+hub+"/good:1") {
		t.Errorf("exit code %d:\n%s", s.code, s.stderr)
	}
	came(t, s, "good:1", imagesync.Pull, hub)
	came(t, s, "good:2", imagesync.Pull, hub)
	if text := d.shell(t, d.b, `image-sync status 2>&1 || [ $? = 3 ]`); !strings.Contains(text, "missing "+hub+"/good:none") {
		t.Errorf("status:\n%s", text)
	}
}

// builtOnActive has an image that no registry has.
func builtOnActive(t *testing.T, d *imagesDrill) {
	d.image(t, "base:1", 40, small)
	d.project(t, "made", "services: {app: {build: ., stop_grace_period: 0s}}\n")
	d.shell(t, d.a, `docker pull -q "$1/base:1"; cd "$2/made"; printf 'FROM %s/base:1\nLABEL made=here\nCMD ["app", "-name=app", "-dir=/tmp"]\n' "$1" >Dockerfile
		DOCKER_BUILDKIT=0 docker build -q -t made-app . 2>/dev/null`, hub, Checkout)
	d.up(t, d.a, "never", "made")
	s := d.sync(t, d.b)
	a, b := d.shell(t, d.a, `docker image inspect -f '{{.Id}}' made-app`), d.shell(t, d.b, `docker image inspect -f '{{.Id}}' made-app`)
	if s.code != 0 || a != b || s.Images[0].Action != imagesync.Copy || s.Images[0].From != "a" || s.Images[0].Bytes == 0 {
		t.Errorf("exit code %d, %s on a, %s on b, %+v\n%s", s.code, a, b, s.Images[0], s.stderr)
	}
	if s := d.sync(t, d.b); s.code != 0 || s.Images[0].Action != imagesync.Current {
		t.Errorf("again: exit code %d, %+v", s.code, s.Images[0])
	}
	d.up(t, d.b, "never", "made")
}
