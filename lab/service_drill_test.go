//go:build drill

package lab_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/lab/container"
)

// virtualIP is the virtual IP of the test's keepalived.
const virtualIP = "10.77.0.100"

const composeFile = `
services:
  app:
    image: webapp:lab
    container_name: app
    command: [app, -name=app, -dir=/tmp]
    restart: always
    ports: ["8000:8000"]
`

const keepalivedFile = `
global_defs {
	script_user root
	enable_script_security
}
vrrp_instance VI_1 {
	state BACKUP
	nopreempt
	interface eth0
	virtual_router_id 51
	priority %s
	advert_int 1
	virtual_ipaddress {
		` + virtualIP + `/24
	}
}
`

// makeWebapp makes the image of the tests' containers.
func makeWebapp(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program, image := filepath.Join(dir, "webapp"), filepath.Join(dir, "webapp.tar")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "../lab/webapp")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the web application: %v\n%s", err, text)
	}
	if err := container.Write(image, "webapp:lab", program); err != nil {
		t.Fatal(err)
	}
	return image
}

// runProject starts Docker on a node and a project in it.
func runProject(ctx context.Context, n lab.Node, image string) error {
	if err := lab.SetService(ctx, n, lab.DockerService(20)); err != nil {
		return err
	}
	if err := lab.StartService(ctx, n, "docker"); err != nil {
		return err
	}
	if err := lab.LoadImage(ctx, n, image); err != nil {
		return err
	}
	_, err := n.Run(ctx, lab.Command{
		Argv:  []string{"docker", "compose", "-p", "app", "-f", "-", "up", "-d", "--quiet-pull"},
		Stdin: strings.NewReader(composeFile),
	})
	return err
}

// TestServices runs Docker, a Compose project and keepalived as services, and
// cuts the power.
func TestServices(t *testing.T) {
	programs, image := build(t), makeWebapp(t)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	l, err := lab.Up(ctx, lab.Options{Kind: kind(), HubProgram: programs.hub, Simulator: programs.simulator, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Down()
	for i, n := range l.Nodes {
		began := time.Now()
		if err := runProject(ctx, n, image); err != nil {
			t.Fatal(err)
		}
		t.Logf("Docker and a project up on %s in %.1f s", n.Name(), time.Since(began).Seconds())
		run(t, ctx, n, "sh", "-c", `printf "$1" >/etc/keepalived/keepalived.conf && sync /etc/keepalived/keepalived.conf /etc/keepalived`, "sh", fmt.Sprintf(keepalivedFile, fmt.Sprint(100-10*i)))
		must(t, lab.SetService(ctx, n, lab.Service{
			Name: "keepalived", Order: 50, Argv: []string{"keepalived", "--dont-fork", "--log-console"},
			Before: []string{"touch", "/run/keepalived-ends"}, After: []string{"touch", "/run/keepalived-ended"},
		}))
		must(t, lab.StartService(ctx, n, "keepalived"))
		awaitService(t, ctx, n, "address of a", `ip address show dev eth0 | grep -q `+virtualIP+`/ || test "$(hostname)" != a`)
	}
	a, b := l.Nodes[0], l.Nodes[1]
	answers := `test "$(curl -s -m 2 -o /dev/null -w '%{http_code}' -X POST http://127.0.0.1:8000/write?id=1)" = 200`
	for _, n := range l.Nodes {
		awaitService(t, ctx, n, "project", answers)
	}

	must(t, a.PullPlug(ctx))
	pulled := time.Now()
	awaitService(t, ctx, b, "address", `ip address show dev eth0 | grep -q `+virtualIP+`/`)
	t.Logf("the address was on b %.1f s after a's plug was pulled", time.Since(pulled).Seconds())
	began := time.Now()
	must(t, a.Start(ctx))
	awaitService(t, ctx, a, "keepalived", `lab-service running keepalived`)
	awaitService(t, ctx, a, "project", answers)
	t.Logf("its project answered %.1f s after a was started again", time.Since(began).Seconds())

	// At once: the address stays, and After does not run.
	must(t, lab.KillService(ctx, b, "keepalived"))
	awaitService(t, ctx, b, "end", `! lab-service running keepalived`)
	run(t, ctx, b, "sh", "-c", `! test -e /run/keepalived-ended && ! test -e /run/keepalived-ends && ip address show dev eth0 | grep -q `+virtualIP+`/`)
	awaitService(t, ctx, a, "address", `ip address show dev eth0 | grep -q `+virtualIP+`/`)
	// In order: Before and After run, and the address is removed.
	must(t, lab.StopService(ctx, a, "keepalived"))
	awaitService(t, ctx, a, "what comes after", `test -e /run/keepalived-ends && test -e /run/keepalived-ended && ! lab-service running keepalived`)
	run(t, ctx, a, "sh", "-c", `! ip address show dev eth0 | grep -q `+virtualIP+`/`)

	// A program that dies is restarted, a stopped one is not.
	must(t, lab.SignalService(ctx, a, "docker", "KILL"))
	awaitService(t, ctx, a, "Docker again", `docker version && `+answers)
	began = time.Now()
	must(t, a.Stop(ctx))
	t.Logf("stopped in order in %.1f s", time.Since(began).Seconds())

	must(t, l.Down())
	if left := traces(t, l.Name(), ""); len(left) > 0 {
		t.Errorf("left after Down:\n%s", strings.Join(left, "\n"))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// awaitService repeats a test on a node until it succeeds.
func awaitService(t *testing.T, ctx context.Context, n lab.Node, what, test string) {
	t.Helper()
	const script = `for _ in $(seq 300); do if { eval "$1"; } >/dev/null 2>&1; then exit 0; fi; sleep 0.1; done; tail -n 20 /var/log/lab/*.log >&2; exit 1`
	if _, err := n.Run(ctx, lab.Argv("bash", "-c", script, "await", test)); err != nil {
		t.Fatalf("%s: not there after 30 s: %v", what, err)
	}
}
