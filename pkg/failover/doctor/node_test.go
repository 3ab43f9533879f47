package doctor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/internal/testengine"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/run"
)

// fakeData are replicated datasets without ZFS.
type fakeData struct {
	failover.Data
	states []data.DatasetState
}

func (d fakeData) Configured() bool                                               { return true }
func (d fakeData) State(context.Context) ([]data.DatasetState, error)             { return d.states, nil }
func (d fakeData) Promote(context.Context, data.Stepper) (r data.Result, _ error) { return r, nil }

// node is a machine in a folder: its programs are shell scripts.
type node struct {
	t    *testing.T
	dir  string
	cfg  *config.Config
	data fakeData
	// network is the engine's answer about the network proxy.
	network string
	// gate restricts the API versions that the engine accepts.
	gate *testengine.Gate
}

func (n *node) path(parts ...string) string {
	return filepath.Join(append([]string{n.dir}, parts...)...)
}

func (n *node) write(name, text string, mode os.FileMode) string {
	n.t.Helper()
	path := n.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// program writes a shell script that replaces a program.
func (n *node) program(name, script string) { n.write("bin/"+name, "#!/bin/sh\n"+script, 0o755) }

// goodSSH answers as the other node's gate does.
const goodSSH = `case "$*" in
*" failover-notify peer -o json") echo '{"node": "b", "role": "standby", "time": "'$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)'"}' ;;
*) echo 'failover-notify: error: gate: this key is not for "true"' >&2; exit 76 ;;
esac
`

const goodZFS = `case "$1" in
version) printf 'zfs-2.3.9-1\nzfs-kmod-2.3.9-1\n' ;;
get)
	for d in tank tank/db; do
		printf "$d\tused\t1000\t-\t-\n$d\tavailable\t500\t-\t-\n$d\tkeylocation\tnone\t-\tdefault\n$d\tcanmount\tnoauto\t-\tlocal\n"
	done ;;
*) echo "unexpected: zfs $*" >&2; exit 2 ;;
esac
`

const goodZpool = `case "$1" in
list) printf 'ONLINE\t12\n' ;;
get) printf 'size\t1000\nfeature@large_blocks\tactive\nfeature@zstd_compress\tenabled\nfeature@async_destroy\tenabled\n' ;;
esac
`

func newNode(t *testing.T) *node {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, dir: dir, network: `{"Driver": "bridge"}`}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	n.program("ssh", goodSSH)
	n.program("zfs", goodZFS)
	n.program("zpool", goodZpool)
	n.program("docker", "echo 'Docker Compose version 2.26.1'\n")
	n.program("failover-notify", "")
	n.program("zfs-replicate", "")
	t.Setenv("PATH", n.path("bin")+":"+os.Getenv("PATH"))
	n.write("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\nVERSION_ID=\"13\"\n", 0o644)
	n.write("etc/cron.d/zfs-replicate", "* * * * * root zfs-replicate run --scheduled\n", 0o644)
	n.cfg = &config.Config{
		Nodes:    []config.Node{{Name: "a", Address: "127.0.0.2", Priority: 100}, {Name: "b", Address: "127.0.0.1", Priority: 90}},
		StateDir: n.path("state"), RunDir: n.path("run"),
		SSH:      config.SSH{User: "root", Port: listener.Addr().(*net.TCPAddr).Port, RemoteCommand: "zfs-replicate", ConnectTimeout: time.Second},
		Failover: config.Failover{RemoteCommand: "failover-notify", PeerTimeout: 5 * time.Second},
		Lag:      config.Lag{Warning: 20 * time.Minute, Critical: time.Hour},
		Notify:   config.Notify{URLsFile: n.write("urls", "generic+http://"+listener.Addr().String()+"/secret\n", 0o600)},
		Services: config.Services{Directory: n.path("srv"), Projects: []string{"*/compose.yaml"}, First: []string{"web"}, Socket: n.path("docker.sock")},
	}
	n.cfg.Replication.Datasets = []config.Dataset{{Name: "tank", Recursive: true}}
	n.data.states = []data.DatasetState{
		{Name: "tank", Type: "filesystem", Mountpoint: n.path("tank"), Replica: true},
		{Name: "tank/db", Type: "filesystem", Mountpoint: n.path("tank/db"), Replica: true},
	}
	n.write("srv/web/compose.yaml", "services: {web: {image: 'web:1', restart: unless-stopped, networks: [proxy], volumes: ['"+n.path("tank/db")+":/db']}}\nnetworks: {proxy: {external: true}}\n", 0o644)
	n.engine(`[{"Id": "1", "Names": ["/web"], "Image": "web:1", "State": "exited", "Labels": {"com.docker.compose.project": "web"}}]`)
	return n
}

// engine answers for the Docker Engine, with a list of containers.
func (n *node) engine(containers string) {
	n.t.Helper()
	os.Remove(n.path("docker.sock"))
	listener, err := net.Listen("unix", n.path("docker.sock"))
	if err != nil {
		n.t.Fatal(err)
	}
	n.gate = testengine.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/containers/json":
			fmt.Fprint(w, containers)
		case "/images/web:1/json":
			fmt.Fprint(w, `{"Id": "sha256:1", "Os": "linux", "Architecture": "amd64"}`)
		case "/networks/proxy":
			fmt.Fprint(w, n.network)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}), "1.44", "1.52")
	server := &http.Server{Handler: n.gate}
	go server.Serve(listener)
	n.t.Cleanup(func() { server.Close() })
}

func (n *node) doctor() *Doctor {
	n.t.Helper()
	log := zerolog.New(zerolog.NewTestWriter(n.t))
	records, err := self.Open(n.cfg, n.cfg.Nodes[0], run.New(log), log)
	if err != nil {
		n.t.Fatal(err)
	}
	one := failover.New(records)
	one.Data = n.data
	d := New(one, "v1")
	d.Root = n.dir
	return d
}
