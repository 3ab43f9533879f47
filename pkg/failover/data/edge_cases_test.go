package data_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

func failures(r data.Result) string {
	var all []string
	for _, f := range r.Failed {
		all = append(all, fmt.Sprintf("%s: %v", f.Dataset, f.Err))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func TestPartialReceives(t *testing.T) {
	a, b := pair(t)
	a.write(strings.Repeat("x", 4<<20), "tank/srv/db/big")
	a.zfs("snapshot", "tank/srv/db@replicate-2")
	a.zfs("create", "tank/srv/new")
	a.write(strings.Repeat("y", 4<<20), "tank/srv/new/big")
	a.zfs("snapshot", "tank/srv/new@replicate-2")
	b.cut(a, "tank/srv/db", "-i", "@replicate-1", "tank/srv/db@replicate-2")
	b.cut(a, "tank/srv/new", "tank/srv/new@replicate-2")

	r, err := b.data().Promote(t.Context(), data.Unrecorded)
	var incomplete *data.IncompleteError
	if err != nil || len(r.Failed) != 1 || !errors.As(r.Failed[0].Err, &incomplete) || incomplete.Name != "tank/srv/new" || r.Usable() != 6 {
		t.Errorf("%v, %+v", err, r)
	}
	b.has("tank/srv/db receive_resume_token - -", "tank/srv/db mounted yes -")
	b.reads("one", "tank/srv/db/f")
	if token := b.get("receive_resume_token", "tank/srv/new"); token == "- -" {
		t.Error("the beginning of a dataset was dropped")
	}
	states, err := b.data().State(t.Context())
	if at := slices.IndexFunc(states, func(s data.DatasetState) bool { return s.Name == "tank/srv/new" }); err != nil || !states[at].Partial {
		t.Errorf("%v, %+v", err, states)
	}
	r, err = b.data().Demote(t.Context(), data.Unrecorded)
	b.fine(r, err)
}

// cut receives the first megabyte of a stream.
func (n *node) cut(from *node, target string, args ...string) {
	n.t.Helper()
	from.use()
	stream, err := exec.Command(filepath.Join(simulator, "zfs"), append([]string{"send", "-p"}, args...)...).Output()
	if err != nil {
		n.t.Fatal(err)
	}
	n.use()
	receive := exec.Command(filepath.Join(simulator, "zfs"), "receive", "-s", "-u", "-o", "readonly=on", "-o", "canmount=noauto",
		"-o", zfs.StreamProperty+"=Lce", target)
	receive.Stdin = strings.NewReader(string(stream[:1<<20]))
	if out, err := receive.CombinedOutput(); err == nil {
		n.t.Fatalf("a cut stream was received: %s", out)
	}
}

func TestKeys(t *testing.T) {
	a := newNode(t, "tank", config.Dataset{Name: "tank/e", Recursive: true})
	key := filepath.Join(a.dir, "key")
	if err := os.WriteFile(key, []byte("password1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tank/e", "tank/e/typed"} {
		a.zfs("create", "-o", "encryption=on", "-o", "keyformat=passphrase", "-o", "pbkdf2iters=100000", "-o", "keylocation=file://"+key, name)
	}
	a.zfs("create", "tank/e/kid")
	a.zfs("unmount", "tank/e/typed")
	a.zfs("set", "keylocation=prompt", "tank/e/typed")
	a.demote()
	a.zfs("unload-key", "tank/e")
	a.zfs("unload-key", "tank/e/typed")

	r, err := a.data().Promote(t.Context(), data.Unrecorded)
	var needed *data.KeyError
	if err != nil || len(r.Failed) != 1 || r.Failed[0].Dataset != "tank/e/typed" || r.Failed[0].Mountpoint != a.path("tank/e/typed") ||
		!errors.As(r.Failed[0].Err, &needed) || !strings.Contains(needed.Hint(), "zfs load-key tank/e/typed") {
		t.Errorf("%v, %+v", err, r)
	}
	a.has("tank/e mounted yes -", "tank/e/kid mounted yes -", "tank/e/typed mounted no -")

	a.demote()
	a.zfs("unload-key", "tank/e")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	r, err = a.data().Promote(t.Context(), data.Unrecorded)
	if err != nil || len(r.Failed) != 3 || !strings.Contains(failures(r), "tank/e/kid: dataset tank/e/kid: load the key of tank/e: ") {
		t.Errorf("%v, %s", err, failures(r))
	}
}

// The encryption root may lie above the replicated datasets: its key file is found.
func TestKeyAbove(t *testing.T) {
	a := newNode(t, "tank", config.Dataset{Name: "tank/e/app", Recursive: true})
	key := filepath.Join(a.dir, "key")
	if err := os.WriteFile(key, []byte("password1"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.zfs("create", "-o", "encryption=on", "-o", "keyformat=passphrase", "-o", "pbkdf2iters=100000", "-o", "keylocation=file://"+key, "tank/e")
	a.zfs("create", "tank/e/app")
	typed := func(want bool) {
		t.Helper()
		states, err := a.data().State(t.Context())
		if err != nil || len(states) != 1 || !states[0].KeyNeeded || states[0].KeyTyped != want {
			t.Errorf("%v, %+v, want typed %v", err, states, want)
		}
	}
	a.demote()
	a.zfs("unmount", "tank/e")
	a.zfs("unload-key", "tank/e")
	typed(false)
	if r := a.promote(); len(r.Failed) > 0 {
		t.Errorf("%+v", r)
	}
	a.has("tank/e/app mounted yes -")

	a.demote()
	a.zfs("unload-key", "tank/e")
	a.zfs("set", "keylocation=prompt", "tank/e")
	typed(true)
	a.zfs("set", "keylocation=file://"+key+"-gone", "tank/e")
	typed(true)
}

// Mountpoints decide the order, not names; and nothing is mounted below a filesystem
// that could not be mounted.
func TestMountpoints(t *testing.T) {
	n := newNode(t, "tank", config.Dataset{Name: "tank/x", Recursive: true})
	n.zfs("create", "tank/x")
	n.zfs("create", "-o", "mountpoint="+n.path("srv"), "tank/x/b")
	n.zfs("create", "-o", "mountpoint="+n.path("srv", "www"), "tank/x/a")
	n.zfs("create", "-o", "mountpoint="+n.path("srv-2"), "tank/x/c")
	n.zfs("create", "-o", "mountpoint=none", "tank/x/d")
	n.zfs("create", "-o", "mountpoint=legacy", "tank/x/e")
	n.demote()
	r, err := n.data().Promote(t.Context(), data.Unrecorded)
	if err != nil || len(r.Failed) > 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "tank/x/e: mountpoint is legacy") {
		t.Fatalf("%v, %+v", err, r)
	}
	n.write("a", "srv/www/f")
	n.demote()

	n.faults("mount fail=tank/x/b")
	r, err = n.data().Promote(t.Context(), data.Unrecorded)
	want := "tank/x/a: dataset tank/x/a: not mounted, because tank/x/b above it is not\ntank/x/b: mount tank/x/b: cannot mount 'tank/x/b': Input/output error"
	if err != nil || failures(r) != want {
		t.Errorf("%v, %s", err, failures(r))
	}
	n.has("tank/x/c mounted yes -", "tank/x/b understudy:demoted readonly=-,canmount=- local")
	n.faults()
	n.zfs("set", "mountpoint="+n.path("srv"), "tank/x/c")
	r, err = n.data().Promote(t.Context(), data.Unrecorded)
	if err != nil || !strings.Contains(failures(r), " also belongs to tank/x/") {
		t.Errorf("two at one mountpoint: %v, %s", err, failures(r))
	}
}

// A filesystem in use stays mounted read-only, and the message names the process.
func TestInUse(t *testing.T) {
	a, _ := pair(t)
	a.zfs("destroy", "-r", "tank/srv/tmp")
	sleeper := exec.Command("sleep", "600")
	sleeper.Dir = a.path("tank/srv/db")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }()
	r, err := a.data().Demote(t.Context(), data.Unrecorded)
	by := fmt.Sprintf("in use by sleep (%d)", sleeper.Process.Pid)
	if err != nil || len(r.Failed) > 0 || len(r.Warnings) != 2 || !strings.Contains(r.Warnings[0], by) || !strings.Contains(r.Warnings[1], "tank/srv/db is mounted below it") {
		t.Fatalf("%v, %+v", err, r)
	}
	if err := os.WriteFile(a.path("tank/srv/db/no"), nil, 0o600); err == nil {
		t.Error("it can be written to")
	}
	a.has("tank/srv/group/mail mounted no -")
}

// A dataset that can't be made read-only has failed: it can still be written to.
func TestStillWritable(t *testing.T) {
	a, _ := pair(t)
	a.calls = 1 // the listing alone
	r, err := a.data().Demote(t.Context(), data.Unrecorded)
	if err == nil && len(r.Failed) == 0 {
		t.Errorf("no failure is reported: %+v", r)
	}
}

func TestPoolRoot(t *testing.T) {
	tree := config.Dataset{Name: "tank", Recursive: true}
	a, b := newNode(t, "tank", tree), newNode(t, "tank", tree)
	a.zfs("create", "tank/kid")
	a.write("top", "tank/f")
	a.zfs("snapshot", "-r", "tank@replicate-1")
	// As the receiver makes a container.
	b.zfs("set", "canmount=off", "tank")
	b.zfs("set", "understudy:container=tank", "tank")
	a.send(b, "tank@replicate-1", "", "tank/understudy-root")
	a.send(b, "tank/kid@replicate-1", "", "tank/kid")
	b.zfs("set", "mountpoint="+b.path("tank"), "tank/understudy-root")
	if r := b.promote(); r.Datasets != 2 {
		t.Errorf("%+v", r)
	}
	b.reads("top", "tank/f")
	b.has("tank/kid mounted yes -", "tank mounted no -")
	b.write("kid", "tank/kid/f")
	b.demote()
	b.has("tank readonly off default", "tank/understudy-root mounted no -")
	a.demote()
	a.has("tank mounted no -")
	a.promote()
	a.reads("top", "tank/f")
}

// With a target, a node holds the dataset under either name.
func TestTarget(t *testing.T) {
	entry := config.Dataset{Name: "tank/srv", Recursive: true, Target: "tank/copy"}
	a, b := newNode(t, "tank", entry), newNode(t, "tank", entry)
	a.zfs("create", "tank/srv")
	a.zfs("create", "tank/copy") // unrelated
	b.zfs("create", "tank/srv")
	a.write("one", "tank/srv/f")
	a.zfs("snapshot", "tank/srv@replicate-1")
	a.send(b, "tank/srv@replicate-1", "", "tank/copy")
	if r := b.promote(); r.Datasets != 1 {
		t.Errorf("%+v", r)
	}
	b.reads("one", "tank/copy/f")
	if r := a.demote(); r.Datasets != 1 {
		t.Errorf("%+v", r)
	}
	a.has("tank/srv readonly on local", "tank/copy readonly off default")
	b.demote()
	b.has("tank/srv readonly off default", "tank/copy readonly on local")
	// A second pool of the same machine is a standby and is not promoted.
	b.cfg.Nodes = []config.Node{{Name: "second", Local: true}}
	b.promote()
	b.has("tank/copy readonly on local")
}

func TestHangingPool(t *testing.T) {
	_, b := pair(t)
	b.cfg.Failover.DatasetTimeout = time.Second
	b.faults("mount hang dataset=tank/srv/db")
	started := time.Now()
	r, err := b.data().Promote(t.Context(), data.Unrecorded)
	if took := time.Since(started); err != nil || len(r.Failed) != 1 || r.Failed[0].Dataset != "tank/srv/db" || took > 8*time.Second {
		t.Errorf("%v, %s, %+v", err, took, r)
	}
	b.has("tank/srv/group/mail mounted yes -")
	b.faults("get hang")
	if _, err := b.data().State(t.Context()); err == nil {
		t.Error("no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	b.cfg.Failover.DatasetTimeout = time.Minute
	if _, err := b.data().Demote(ctx, data.Unrecorded); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	b.faults()

	kstat := filepath.Join(b.dir, "kstat", "tank")
	if err := errors.Join(os.MkdirAll(kstat, 0o755), os.WriteFile(filepath.Join(kstat, "state"), []byte("SUSPENDED\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	r, err = b.data().Promote(t.Context(), data.Unrecorded)
	var suspended *data.SuspendedError
	if err != nil || r.Datasets != 1 || len(r.Failed) != 1 || !errors.As(r.Failed[0].Err, &suspended) {
		t.Errorf("%v, %+v", err, r)
	}
}

// Fifty datasets take a few programs for all, and one each to mount.
func TestFifty(t *testing.T) {
	tree := config.Dataset{Name: "tank/srv", Recursive: true}
	a, b := newNode(t, "tank", tree), newNode(t, "tank", tree)
	a.zfs("create", "tank/srv")
	for i := range 49 {
		a.zfs("create", fmt.Sprintf("tank/srv/d%d", i))
	}
	a.zfs("snapshot", "-r", "tank/srv@replicate-1")
	for _, name := range strings.Fields(a.zfs("list", "-H", "-o", "name", "-r", "tank/srv")) {
		a.send(b, name+"@replicate-1", "", name)
	}
	b.calls = 1000
	started := time.Now()
	b.promote()
	took := time.Since(started)
	calls, err := os.ReadFile(filepath.Join(b.dir, "bin", "calls"))
	if err != nil || len(calls) > 50+25 {
		t.Errorf("%d programs, %v", len(calls), err)
	}
	started = time.Now()
	b.demote()
	t.Logf("promoted in %s with %d programs, demoted in %s", took, len(calls), time.Since(started))
}
