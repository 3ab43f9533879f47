package data_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/internal/testhost"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// simulator is the folder with the simulated zfs and zpool.
var simulator string

// TestMain runs the tests in a mount namespace, so that what the simulator
// mounts goes with it, even when it is killed.
func TestMain(m *testing.M) {
	if !testhost.InNamespace() {
		os.Exit(testhost.EnterNamespace())
	}
	code, err := withSimulator(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withSimulator(m *testing.M) (int, error) {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return 1, fmt.Errorf("make the mounts of the test private: %w", err)
	}
	dir, err := os.MkdirTemp("", "understudy-data")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "zfs"), "../../../lab/zfssim")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the simulator: %w\n%s", err, out)
	}
	if err := os.Symlink("zfs", filepath.Join(dir, "zpool")); err != nil {
		return 1, err
	}
	simulator = dir
	return m.Run(), nil
}

// node is one server: a simulator's store with pools.
type node struct {
	t    *testing.T
	dir  string
	cfg  *config.Config
	pool string
	// calls is how many programs run before all others fail at once, as if
	// this process had been killed; negative is no limit.
	calls int
}

// newNode makes a server with one pool.
func newNode(t *testing.T, pool string, datasets ...config.Dataset) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), pool: pool, calls: -1, cfg: &config.Config{
		Replication: config.Replication{Datasets: datasets},
		Failover:    config.Failover{DatasetTimeout: 20 * time.Second},
	}}
	t.Cleanup(n.unmount)
	n.addPool(pool)
	return n
}

func (n *node) addPool(pool string) {
	n.t.Helper()
	vdev := filepath.Join(n.dir, pool+".vdev")
	if err := errors.Join(os.WriteFile(vdev, nil, 0o600), os.Truncate(vdev, 256<<20)); err != nil {
		n.t.Fatal(err)
	}
	n.zpool("create", "-m", n.path(pool), pool, vdev)
}

// path is where a dataset is mounted by default.
func (n *node) path(parts ...string) string {
	return filepath.Join(append([]string{n.dir, "mnt"}, parts...)...)
}

// use makes this server the one that programs meet.
func (n *node) use() {
	n.t.Setenv("PATH", simulator+":/usr/bin:/bin")
	n.t.Setenv("ZFSSIM_ROOT", filepath.Join(n.dir, "store"))
	n.t.Setenv("ZFSSIM_ZVOL_DIR", filepath.Join(n.dir, "zvol"))
}

func (n *node) try(program string, args ...string) (string, error) {
	n.use()
	out, err := exec.Command(filepath.Join(simulator, program), args...).CombinedOutput()
	return strings.TrimSuffix(string(out), "\n"), err
}

func (n *node) must(program string, args ...string) string {
	n.t.Helper()
	out, err := n.try(program, args...)
	if err != nil {
		n.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

func (n *node) zfs(args ...string) string   { n.t.Helper(); return n.must("zfs", args...) }
func (n *node) zpool(args ...string) string { n.t.Helper(); return n.must("zpool", args...) }

// get is a property's value and source.
func (n *node) get(property, dataset string) string {
	n.t.Helper()
	return strings.ReplaceAll(n.zfs("get", "-H", "-o", "value,source", property, dataset), "\t", " ")
}

// has checks properties, each as "dataset property value source".
func (n *node) has(want ...string) {
	n.t.Helper()
	for _, w := range want {
		words := strings.SplitN(w, " ", 3)
		if got := n.get(words[1], words[0]); got != words[2] {
			n.t.Errorf("%s of %s is %q, want %q", words[1], words[0], got, words[2])
		}
	}
}

// faults sets the simulator's faults.
func (n *node) faults(lines ...string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, "store", "faults"), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) write(text string, path ...string) {
	n.t.Helper()
	if err := os.WriteFile(n.path(path...), []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) reads(want string, path ...string) {
	n.t.Helper()
	if got, err := os.ReadFile(n.path(path...)); err != nil || string(got) != want {
		n.t.Errorf("%s holds %q, %v, want %q", n.path(path...), got, err, want)
	}
}

// send copies a snapshot of a dataset as zfs-replicate does: in full, or what
// came since another one.
func (n *node) send(to *node, snapshot, since, target string) {
	n.t.Helper()
	file := filepath.Join(n.dir, "stream")
	args := []string{"send", "-p", "-L", "-c", "-e"}
	if since != "" {
		args = append(args, "-i", since)
	}
	n.use()
	out, err := os.Create(file)
	if err != nil {
		n.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(simulator, "zfs"), append(args, snapshot)...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		n.t.Fatalf("send %s: %v", snapshot, err)
	}
	to.receive(file, target, n.zfs("get", "-H", "-o", "value", "type", strings.Split(snapshot, "@")[0]) == "volume")
}

func (n *node) receive(file, target string, volume bool) {
	n.t.Helper()
	n.use()
	in, err := os.Open(file)
	if err != nil {
		n.t.Fatal(err)
	}
	defer in.Close()
	args := []string{"receive", "-s", "-u", "-o", "readonly=on", "-o", zfs.StreamProperty + "=Lce"}
	if !volume {
		args = append(args, "-o", "canmount=noauto")
	}
	cmd := exec.Command(filepath.Join(simulator, "zfs"), append(args, target)...)
	cmd.Stdin = in
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("receive into %s: %v\n%s", target, err, out)
	}
}

func (n *node) data() *data.Data {
	n.use()
	if n.calls >= 0 {
		n.limit()
	}
	d := data.New(n.cfg, zfs.New(run.New(zerolog.Nop()), time.Minute), zerolog.Nop())
	d.Devices = filepath.Join(n.dir, "zvol")
	d.Kstat = filepath.Join(n.dir, "kstat")
	return d
}

// limit puts programs on PATH that do nothing after so many calls.
func (n *node) limit() {
	n.t.Helper()
	bin := filepath.Join(n.dir, "bin")
	script := fmt.Sprintf(`#!/bin/sh
exec 9>>"%[1]s/lock" && flock 9
n=$(wc -c <"%[1]s/calls")
[ "$n" -lt %[2]d ] || { echo "cannot $1: no more" >&2; exit 9; }
printf . >>"%[1]s/calls"
echo "${0##*/} $*" >>"%[1]s/log"
exec 9>&-
exec "%[3]s/${0##*/}" "$@"
`, bin, n.calls, simulator)
	err := errors.Join(os.MkdirAll(bin, 0o755), os.WriteFile(filepath.Join(bin, "calls"), nil, 0o600))
	for _, name := range []string{"zfs", "zpool"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755))
	}
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Setenv("PATH", bin+":/usr/bin:/bin")
}

// spent reports whether the limit was reached.
func (n *node) spent() bool {
	calls, err := os.ReadFile(filepath.Join(n.dir, "bin", "calls"))
	return err == nil && len(calls) >= n.calls
}

// promote promotes and checks that everything went well.
func (n *node) promote() data.Result {
	n.t.Helper()
	result, err := n.data().Promote(n.t.Context(), data.Unrecorded)
	n.fine(result, err)
	return result
}

func (n *node) demote() data.Result {
	n.t.Helper()
	result, err := n.data().Demote(n.t.Context(), data.Unrecorded)
	n.fine(result, err)
	return result
}

func (n *node) fine(result data.Result, err error) {
	n.t.Helper()
	if err != nil || len(result.Failed) > 0 || len(result.Warnings) > 0 {
		n.t.Fatalf("%v, %+v", err, result)
	}
}

// unmount takes the test's mounts away, innermost first.
func (n *node) unmount() {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		n.t.Error(err)
	}
	lines := strings.Split(string(table), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if fields := strings.Fields(lines[i]); len(fields) > 4 && strings.HasPrefix(fields[4], n.dir+"/") {
			if err := syscall.Unmount(fields[4], syscall.MNT_DETACH); err != nil {
				n.t.Error(err)
			}
		}
	}
}
