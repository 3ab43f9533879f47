//go:build drill

package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	imagesync "github.com/understudy-ha/understudy/pkg/images"
)

// hub is the registry of each node. Both hold the same images.
const hub = "127.0.0.1:5000"

// small is the number of bytes that an image has for itself.
const small = 300_000

// imagesDrill is a pair with Docker and a registry on each node; a is active.
type imagesDrill struct {
	ctx  context.Context
	lab  *lab.Lab
	a, b lab.Node
}

// The settings of engines that store images themselves, or in containerd.
const (
	classicStore    = `{}`
	containerdStore = `{"features": {"containerd-snapshotter": true}}`
)

// newImagesDrill starts the pair; store holds the settings of its engines.
func newImagesDrill(t *testing.T, ctx context.Context, store string) *imagesDrill {
	t.Helper()
	dir := t.TempDir()
	programs, err := Build(ctx, lab.NS, dir)
	if err != nil {
		t.Fatal(err)
	}
	built := map[string]string{}
	for name, pkg := range map[string]string{"image-sync": "cmd/image-sync", "failover-notify": "cmd/failover-notify", "registry": "drill/registry", "webapp": "lab/webapp"} {
		built[filepath.Join(dir, name)] = pkg
	}
	if err := buildAll(ctx, built); err != nil {
		t.Fatal(err)
	}
	l, err := lab.Up(ctx, lab.Options{Kind: lab.NS, HubProgram: programs.Hub, Simulator: programs.Simulator, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	d := &imagesDrill{ctx: ctx, lab: l, a: l.Nodes[0], b: l.Nodes[1]}
	d.configure(t, nil)
	for _, n := range l.Nodes {
		for path := range built {
			d.must(t, n.CopyTo(ctx, path, "/usr/bin/"+filepath.Base(path)))
		}
		d.must(t, WriteFile(ctx, n, "/etc/docker/daemon.json", store))
		d.must(t, lab.SetService(ctx, n, registryService()))
		d.must(t, lab.SetService(ctx, n, lab.DockerService(20)))
		d.must(t, lab.StartServices(ctx, n))
	}
	// b's key opens nothing on a but the gate.
	public := d.shell(t, d.b, `ssh-keygen -q -t ed25519 -N '' -f /etc/understudy/gate_key; cat /etc/understudy/gate_key.pub`)
	d.shell(t, d.a, `echo "restrict,command=\"failover-notify gate\" $1" >>/root/.ssh/authorized_keys`, public)
	d.role(t, d.a, "active")
	d.role(t, d.b, "standby")
	return d
}

func registryService() lab.Service {
	return lab.Service{
		Name: "registry", Order: 15, Argv: []string{"registry", "-listen", hub, "-program", "/usr/bin/webapp"},
		Ready: []string{"curl", "-sf", "http://" + hub + "/v2/"},
	}
}

func (d *imagesDrill) configure(t *testing.T, change func(Config)) {
	t.Helper()
	for _, n := range d.lab.Nodes {
		c := newConfig(d.lab.Nodes)
		c.Set("ssh.identity_file", "/etc/understudy/gate_key")
		c.Set("services.directory", Checkout)
		c.Set("services.projects", []string{"*/compose.yaml"})
		c.Set("images.stall", "2s")
		if change != nil {
			change(c)
		}
		text, err := c.encode()
		d.must(t, err)
		d.must(t, WriteFile(d.ctx, n, "/etc/understudy/config.yaml", text))
	}
}

func (d *imagesDrill) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *imagesDrill) shell(t *testing.T, n lab.Node, script string, args ...string) string {
	t.Helper()
	text, err := Shell(d.ctx, n, script, args...)
	d.must(t, err)
	return text
}

func (d *imagesDrill) role(t *testing.T, n lab.Node, role string) {
	t.Helper()
	d.must(t, WriteFile(d.ctx, n, "/var/lib/understudy/role.json", fmt.Sprintf(`{"role": %q, "term": 3, "newest_term": 3}`, role)))
}

// afresh removes projects, containers and faults from both nodes, and images
// from b.
func (d *imagesDrill) afresh(t *testing.T) {
	t.Helper()
	for _, n := range d.lab.Nodes {
		d.faults(t, n)
		d.shell(t, n, `rm -rf "$1" /var/lib/understudy/images*; mkdir -p "$1"
			docker ps -aq | xargs -r docker rm -f >/dev/null`, Checkout)
	}
	d.clear(t)
}

// clear removes all images from b.
func (d *imagesDrill) clear(t *testing.T) {
	t.Helper()
	d.shell(t, d.b, `docker images -aq | sort -u | xargs -r docker rmi -f >/dev/null`)
}

// image puts an image into the registries of both nodes.
func (d *imagesDrill) image(t *testing.T, ref string, seed, bytes int) {
	t.Helper()
	for _, n := range d.lab.Nodes {
		d.shell(t, n, `curl -sf -X POST "http://$1/lab/image?ref=$2&seed=$3&bytes=$4"`, hub, ref, fmt.Sprint(seed), fmt.Sprint(bytes))
	}
}

// faults replaces a registry's faults, each in JSON.
func (d *imagesDrill) faults(t *testing.T, n lab.Node, faults ...string) {
	t.Helper()
	d.shell(t, n, `curl -sf -X PUT -d "$2" "http://$1/lab/faults"`, hub, "["+strings.Join(faults, ",")+"]")
}

// asked returns the requests to b's registry since the last call.
func (d *imagesDrill) asked(t *testing.T) []string {
	t.Helper()
	return strings.Split(d.shell(t, d.b, `curl -sf "http://$1/lab/log"`, hub), "\n")
}

// project writes a project's file on both nodes.
func (d *imagesDrill) project(t *testing.T, name, text string) {
	t.Helper()
	for _, n := range d.lab.Nodes {
		d.must(t, WriteFile(d.ctx, n, Checkout+"/"+name+"/compose.yaml", text))
	}
}

// apps writes a project with one service for each image, named after the image.
func (d *imagesDrill) apps(t *testing.T, refs ...string) {
	t.Helper()
	for _, ref := range refs {
		d.project(t, strings.ReplaceAll(ref, ":", "-"), service(hub+"/"+ref))
	}
}

func service(ref string) string {
	return "services: {app: {image: '" + ref + "', command: [app, -name=app, -dir=/tmp], stop_grace_period: 0s}}\n"
}

// up starts projects on a node with local images only.
func (d *imagesDrill) up(t *testing.T, n lab.Node, pull string, names ...string) {
	t.Helper()
	const script = `dir=$1 pull=$2; shift 2; pids=()
		for name in "$@"; do docker compose -f "$dir/${name/:/-}/compose.yaml" up -d --no-build --pull "$pull" 2>&1 & pids+=($!); done
		for pid in "${pids[@]}"; do wait "$pid"; done`
	d.shell(t, n, script, append([]string{Checkout, pull}, names...)...)
}

// id returns the id of an image on a node; "" when it is missing.
func (d *imagesDrill) id(t *testing.T, n lab.Node, ref string) string {
	t.Helper()
	return d.shell(t, n, `docker image inspect -f '{{.Id}}' "$1" 2>/dev/null || true`, hub+"/"+ref)
}

// synced is the end of a run of image-sync.
type synced struct {
	imagesync.Result
	code   int
	stderr string
	took   time.Duration
}

func (s synced) item(t *testing.T, ref string) *imagesync.Item {
	t.Helper()
	i := slices.IndexFunc(s.Images, func(i *imagesync.Item) bool { return i.Ref == hub+"/"+ref })
	if i < 0 {
		t.Fatalf("the run says nothing of %s:\n%s", ref, s.stderr)
	}
	return s.Images[i]
}

// sync runs image-sync on a node.
func (d *imagesDrill) sync(t *testing.T, n lab.Node, args ...string) synced {
	t.Helper()
	ctx, cancel := context.WithTimeout(d.ctx, 2*time.Minute)
	defer cancel()
	result, err := n.Run(ctx, lab.Argv(append([]string{"image-sync", "-o", "json"}, args...)...))
	if _, exited := errors.AsType[*lab.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	s := synced{code: result.Code, stderr: strings.TrimSpace(result.Stderr), took: result.Took}
	if result.Stdout != "" {
		d.must(t, json.Unmarshal([]byte(result.Stdout), &s.Result))
	}
	return s
}

// complete runs image-sync on b. Afterwards b must have every image of a.
func (d *imagesDrill) complete(t *testing.T, refs ...string) synced {
	t.Helper()
	s := d.sync(t, d.b)
	if s.code != 0 || !s.Complete {
		t.Errorf("exit code %d, complete: %v:\n%s", s.code, s.Complete, s.stderr)
	}
	d.same(t, refs...)
	return s
}

// same checks that b has a's images.
func (d *imagesDrill) same(t *testing.T, refs ...string) {
	t.Helper()
	for _, ref := range refs {
		if a, b := d.id(t, d.a, ref), d.id(t, d.b, ref); a != b || a == "" {
			t.Errorf("%s is %q on a and %q on b", ref, a, b)
		}
	}
}

// came checks how an image was transferred.
func came(t *testing.T, s synced, ref string, how imagesync.Action, from string) {
	t.Helper()
	i := s.item(t, ref)
	if i.Action != how || i.From != from || i.Error != "" {
		t.Errorf("%s: %s from %q instead of %s from %q: %s\n%s", ref, i.Action, i.From, how, from, i.Error, i.Warning)
	}
}
