//go:build drill

package drill

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	imagesync "github.com/understudy-ha/understudy/pkg/images"
)

// rateLimit makes the registry refuse twice and name a time to retry, and then
// refuse a layer for good.
func rateLimit(t *testing.T, d *imagesDrill) {
	d.image(t, "limit:1", 50, small)
	d.apps(t, "limit:1")
	d.up(t, d.a, "missing", "limit:1")
	d.faults(t, d.b, `{"match": "/manifests/", "status": 429, "retry_after": "2", "times": 2}`)
	s := d.complete(t, "limit:1")
	came(t, s, "limit:1", imagesync.Pull, hub)
	if i := s.item(t, "limit:1"); i.Attempts < 2 || i.Seconds < 2 {
		t.Errorf("%d attempts in %.1f s", i.Attempts, i.Seconds)
	}
	d.clear(t)
	d.faults(t, d.b, `{"match": "GET .*/blobs/", "status": 429}`)
	came(t, d.complete(t, "limit:1"), "limit:1", imagesync.Copy, "a")

	// Without an active node there is no other source.
	d.clear(t)
	d.role(t, d.a, "standby")
	defer d.role(t, d.a, "active")
	d.faults(t, d.b, `{"match": "/manifests/", "status": 429, "retry_after": "1", "times": 3}`)
	if s := d.sync(t, d.b); s.code != 0 || s.item(t, "limit:1").Action != imagesync.Pull {
		t.Errorf("exit code %d, %+v\n%s", s.code, s.item(t, "limit:1"), s.stderr)
	}
	d.clear(t)
	d.faults(t, d.b, `{"match": "GET .*/blobs/", "status": 429, "retry_after": "3600"}`, `{"match": "HEAD ", "status": 429, "retry_after": "3600"}`)
	s = d.sync(t, d.b)
	if s.code != 3 || s.took > 30*time.Second || !strings.Contains(s.stderr, "missing "+hub+"/limit:1") {
		t.Errorf("exit code %d after %s:\n%s", s.code, s.took, s.stderr)
	}
}

// failingRegistry makes the registry hang and lie. Other images must arrive.
func failingRegistry(t *testing.T, d *imagesDrill) {
	d.image(t, "works:1", 60, small)
	for i, c := range []struct{ name, fault string }{
		{"hanging manifest", `{"match": "/v2/fails/manifests/", "hang": true}`},
		{"hanging blob", `{"match": "GET /v2/fails/blobs/", "hang": true, "after": 100}`},
		{"wrong digest of a manifest", `{"match": "GET /v2/fails/manifests/", "corrupt": true}`},
		{"wrong digest of a layer", `{"match": "GET /v2/fails/blobs/", "corrupt": true}`},
		{"server errors", `{"match": "/v2/fails/", "status": 503}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.afresh(t)
			// The engine caches manifests.
			ref := fmt.Sprintf("fails:%d", i)
			d.image(t, ref, 61+i, small)
			d.apps(t, ref, "works:1")
			d.shell(t, d.a, `for ref in "$@"; do docker pull -q "$ref"; done`, hub+"/"+ref, hub+"/works:1")
			d.faults(t, d.b, c.fault)
			s := d.complete(t, ref, "works:1")
			came(t, s, ref, imagesync.Copy, "a")
			t.Logf("%.1f s: %s", s.Seconds, s.item(t, ref).Warning)
		})
	}
	// Images that share a layer fail together in the engine, at first.
	d.afresh(t)
	d.image(t, "fails:9", 69, small)
	d.apps(t, "fails:9", "works:1")
	d.role(t, d.a, "standby")
	defer d.role(t, d.a, "active")
	d.faults(t, d.b, `{"match": "GET /v2/fails/blobs/", "corrupt": true}`)
	s := d.sync(t, d.b)
	if s.code != 3 || d.id(t, d.b, "works:1") == "" || d.id(t, d.b, "fails:9") != "" || !strings.Contains(s.stderr, "missing "+hub+"/fails:9") {
		t.Errorf("exit code %d:\n%s", s.code, s.stderr)
	}
}

// registryDown takes b's registry away: all images come from a.
func registryDown(t *testing.T, d *imagesDrill) {
	var refs []string
	for i := range 3 {
		refs = append(refs, fmt.Sprintf("down:%d", i))
		d.image(t, refs[i], 70+i, small)
	}
	d.apps(t, refs...)
	d.up(t, d.a, "missing", refs...)
	d.must(t, lab.StopService(d.ctx, d.b, "registry"))
	s := d.complete(t, refs...)
	for _, ref := range refs {
		came(t, s, ref, imagesync.Copy, "a")
	}
	d.must(t, lab.StartService(d.ctx, d.b, "registry"))
}

// killedInTheMiddle kills image-sync during a pull and during a copy.
func killedInTheMiddle(t *testing.T, d *imagesDrill) {
	d.image(t, "first:1", 80, small)
	d.image(t, "second:1", 81, 30_000_000)
	d.apps(t, "first:1", "second:1")
	d.up(t, d.a, "missing", "first:1", "second:1")
	d.faults(t, d.b, `{"match": "GET /v2/second/blobs/", "rate": 3000000}`)
	const kill = `image-sync & pid=$!
		for _ in $(seq 200); do docker image inspect "$1" >/dev/null 2>&1 && break; sleep 0.05; done
		sleep 0.5; kill -9 $pid; wait $pid || true`
	d.shell(t, d.b, kill, hub+"/first:1")
	if d.id(t, d.b, "second:1") != "" {
		t.Fatal("it was too late to kill it")
	}
	d.faults(t, d.b)
	s := d.complete(t, "first:1", "second:1")
	came(t, s, "first:1", imagesync.Current, "")
	came(t, s, "second:1", imagesync.Pull, hub)

	d.clear(t)
	d.faults(t, d.b, `{"match": "/v2/second/", "status": 404}`)
	const killCopy = `image-sync & pid=$!
		for _ in $(seq 400); do pgrep -f '[s]sh .*export' >/dev/null && break; sleep 0.01; done
		sleep 0.05; kill -9 $pid; wait $pid || true`
	d.shell(t, d.b, killCopy)
	s = d.complete(t, "first:1", "second:1")
	if i := s.item(t, "second:1"); i.Action != imagesync.Copy && i.Action != imagesync.Tag && i.Action != imagesync.Current {
		t.Errorf("%+v", i)
	}
	d.shell(t, d.a, `for _ in $(seq 100); do pgrep -f '[i]mage-sync export' >/dev/null || exit 0; sleep 0.1; done; exit 1`)
}

// fullDisk puts b's engine on a file system that is too small.
func fullDisk(t *testing.T, d *imagesDrill) {
	d.image(t, "large:1", 90, 100_000_000)
	d.image(t, "small:1", 91, small)
	d.apps(t, "large:1", "small:1")
	d.up(t, d.a, "missing", "large:1", "small:1")
	d.must(t, lab.StopService(d.ctx, d.b, "docker"))
	d.shell(t, d.b, `mkdir -p /run/tiny; mount -t tmpfs -o size=180m tiny /run/tiny`)
	d.must(t, lab.SetService(d.ctx, d.b, lab.DockerService(20, "--data-root=/run/tiny")))
	d.must(t, lab.StartService(d.ctx, d.b, "docker"))
	defer func() {
		d.must(t, lab.StopService(d.ctx, d.b, "docker"))
		d.shell(t, d.b, `umount -l /run/tiny`)
		d.must(t, lab.SetService(d.ctx, d.b, lab.DockerService(20)))
		d.must(t, lab.StartService(d.ctx, d.b, "docker"))
	}()
	s := d.sync(t, d.b)
	if s.code != 3 || !strings.Contains(s.item(t, "large:1").Error, "are free") || d.id(t, d.b, "small:1") == "" {
		t.Errorf("exit code %d, %+v\n%s", s.code, s.item(t, "large:1"), s.stderr)
	}
	// When the registry does not announce the size, image-sync notices during
	// the transfer.
	d.role(t, d.a, "standby")
	defer d.role(t, d.a, "active")
	s = d.sync(t, d.b)
	if s.code != 3 || !strings.Contains(s.item(t, "large:1").Error, "no space left") || d.id(t, d.b, "small:1") == "" {
		t.Errorf("exit code %d, %+v\n%s", s.code, s.item(t, "large:1"), s.stderr)
	}
}

// ownContainerd lets b's engine store images with a separate containerd
// service, as Debian's unit does, whose root is on a file system that is too
// small.
func ownContainerd(t *testing.T, d *imagesDrill) {
	d.image(t, "large:1", 92, 100_000_000)
	d.image(t, "small:1", 93, small)
	d.apps(t, "large:1", "small:1")
	d.up(t, d.a, "missing", "large:1", "small:1")
	const root = "/run/tiny"
	d.must(t, lab.StopService(d.ctx, d.b, "docker"))
	d.shell(t, d.b, `mkdir -p "$1"; mount -t tmpfs -o size=180m tiny "$1"; mv /etc/containerd/config.toml /run/; printf 'version = 2\nroot = "%s"\n' "$1" >/etc/containerd/config.toml`, root)
	d.must(t, lab.SetService(d.ctx, d.b, lab.Service{Name: "containerd", Order: 19, Argv: []string{"containerd"}, Ready: []string{"ctr", "version"}}))
	d.must(t, lab.StartService(d.ctx, d.b, "containerd"))
	d.must(t, lab.StartService(d.ctx, d.b, "docker"))
	defer func() {
		d.must(t, lab.StopService(d.ctx, d.b, "docker"))
		d.must(t, lab.StopService(d.ctx, d.b, "containerd"))
		d.shell(t, d.b, `umount -l "$1"; mv /run/config.toml /etc/containerd/; rm -f /etc/lab/boot.d/*containerd /run/containerd/containerd.sock`, root)
		d.must(t, lab.StartService(d.ctx, d.b, "docker"))
	}()
	s := d.sync(t, d.b)
	if s.code != 3 || !strings.Contains(s.item(t, "large:1").Error, "in "+root) || !strings.Contains(s.item(t, "large:1").Error, "are free") || d.id(t, d.b, "small:1") == "" {
		t.Errorf("exit code %d, %+v\n%s", s.code, s.item(t, "large:1"), s.stderr)
	}
}

// privateUnderCron pulls from a registry that demands a login, through a
// helper, in the environment of cron.
func privateUnderCron(t *testing.T, d *imagesDrill) {
	const private = "127.0.0.1:5001"
	d.must(t, lab.SetService(d.ctx, d.b, lab.Service{
		Name: "private", Order: 16, Argv: []string{"registry", "-listen", private, "-program", "/usr/bin/webapp", "-login", "me:secret word"},
		Ready: []string{"curl", "-s", "http://" + private + "/v2/"},
	}))
	d.must(t, lab.StartService(d.ctx, d.b, "private"))
	defer func() { d.must(t, lab.StopService(d.ctx, d.b, "private")) }()
	d.shell(t, d.b, `curl -sf -X POST "http://$1/lab/image?ref=secret:1&seed=95&bytes=1000"`, private)
	d.project(t, "private", service(private+"/secret:1"))
	cron := `rc=0; env -i SHELL=/bin/sh PATH=/usr/bin:/bin LOGNAME=root $1 image-sync 2>&1 || rc=$?; echo "exit $rc"`
	if text := d.shell(t, d.b, cron, "HOME=/root"); !strings.HasSuffix(text, "exit 3") {
		t.Errorf("without credentials:\n%s", text)
	}
	d.must(t, WriteFile(d.ctx, d.b, "/usr/local/bin/docker-credential-lab", "#!/bin/sh\n[ \"$1\" = get ] && [ \"$(cat)\" = "+private+" ] && echo '{\"Username\": \"me\", \"Secret\": \"secret word\"}'\n"))
	d.must(t, WriteFile(d.ctx, d.b, "/root/.docker/config.json", `{"credHelpers": {"`+private+`": "lab"}}`))
	d.shell(t, d.b, `chmod 755 /usr/local/bin/docker-credential-lab`)
	// systemd does not even set HOME.
	for _, home := range []string{"HOME=/root", "A=b"} {
		d.clear(t)
		text := d.shell(t, d.b, cron, home)
		if !strings.HasSuffix(text, "exit 0") || !strings.Contains(text, "pulled "+private+"/secret:1") || strings.Contains(text, "secret word") {
			t.Errorf("with the helper:\n%s", text)
		}
	}
}

// unplugged cuts b off from everything: every project starts.
func unplugged(t *testing.T, d *imagesDrill) {
	var refs []string
	for i := range 4 {
		refs = append(refs, fmt.Sprintf("plug:%d", i))
		d.image(t, refs[i], 100+i, small)
	}
	d.apps(t, refs...)
	d.up(t, d.a, "missing", refs...)
	for i, ref := range refs {
		d.image(t, ref, 110+i, small) // all have moved since
	}
	d.complete(t, refs...)
	d.must(t, d.b.CutNetwork(d.ctx, lab.Both))
	defer func() { d.must(t, d.b.RestoreNetwork(d.ctx)) }()
	d.must(t, lab.StopService(d.ctx, d.b, "registry"))
	d.up(t, d.b, "never", refs...)
	if n := d.shell(t, d.b, `docker ps -q | wc -l`); n != fmt.Sprint(len(refs)) {
		t.Errorf("%s of %d containers run", n, len(refs))
	}
	d.must(t, lab.StartService(d.ctx, d.b, "registry"))
}
