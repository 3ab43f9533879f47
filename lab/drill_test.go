//go:build drill

package lab_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// kind returns the kind of the nodes under test: $LAB, by default ns.
func kind() lab.Kind { return lab.Kind(cmp.Or(os.Getenv("LAB"), string(lab.NS))) }

// upLimit is the promised time to start two nodes once programs and image are
// built.
func upLimit() time.Duration {
	if kind() == lab.VM {
		return time.Minute
	}
	return 5 * time.Second
}

// built holds programs that every Up would build otherwise.
type built struct{ hub, simulator string }

func build(t *testing.T) built {
	t.Helper()
	dir := t.TempDir()
	b := built{hub: filepath.Join(dir, "lab")}
	packages := map[string]string{b.hub: "./cmd/lab"}
	if kind() == lab.NS {
		b.simulator = filepath.Join(dir, "zfssim")
		packages[b.simulator] = "../lab/zfssim"
	}
	for out, pkg := range packages {
		cmd := exec.Command("go", "build", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, text)
		}
	}
	return b
}

// TestLab covers the life of a lab: the parts share it and run in order.
func TestLab(t *testing.T) {
	programs := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	began := time.Now()
	l, err := lab.Up(ctx, lab.Options{Kind: kind(), HubProgram: programs.hub, Simulator: programs.simulator, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("lab of two %s nodes up in %.2f s", kind(), took.Seconds())
	if took > upLimit() {
		t.Errorf("that is more than %s", upLimit())
	}
	down := false
	defer func() {
		if !down {
			if err := l.Down(); err != nil {
				t.Error(err)
			}
		}
	}()
	a, b := l.Nodes[0], l.Nodes[1]
	for _, part := range []struct {
		name string
		do   func(*testing.T, context.Context, lab.Node, lab.Node)
	}{
		{"run", testRun}, {"copy", testCopy}, {"nodes reach each other", testNeighbours},
		{"pool", testPool}, {"cut", testCut}, {"freeze", testFreeze}, {"clock", testClock},
		{"stop", testStop}, {"pull the plug", testPullPlug},
	} {
		t.Run(part.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
			defer cancel()
			began := time.Now()
			part.do(t, ctx, a, b)
			t.Logf("%s: %.2f s", part.name, time.Since(began).Seconds())
		})
	}
	began = time.Now()
	down = true
	if err := l.Down(); err != nil {
		t.Error(err)
	}
	t.Logf("down in %.2f s", time.Since(began).Seconds())
	if left := traces(t, l.Name(), ""); len(left) > 0 {
		t.Errorf("left after Down:\n%s", strings.Join(left, "\n"))
	}
}

func run(t *testing.T, ctx context.Context, n lab.Node, argv ...string) string {
	t.Helper()
	result, err := n.Run(ctx, lab.Argv(argv...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(result.Stdout)
}

func testRun(t *testing.T, ctx context.Context, a, _ lab.Node) {
	odd := `two  words 'single' "double" $HOME %s \ ; * é` + "\nline"
	if got := run(t, ctx, a, "printf", "%s", odd); got != odd {
		t.Errorf("argument arrived as %q, want %q", got, odd)
	}
	result, err := a.Run(ctx, lab.Command{
		Argv:  []string{"sh", "-c", "cat; echo trouble >&2; exit 7"},
		Stdin: strings.NewReader("from stdin"),
	})
	var exit *lab.ExitError
	if !errors.As(err, &exit) || exit.Code != 7 || result.Code != 7 {
		t.Errorf("exit code 7 gave %v, code %d", err, result.Code)
	}
	if result.Stdout != "from stdin" || result.Stderr != "trouble\n" {
		t.Errorf("streams: %q, %q", result.Stdout, result.Stderr)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := a.Run(short, lab.Argv("sleep", "60")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("sleep beyond the deadline gave %v", err)
	}
	if result, err := a.Run(ctx, lab.Argv("true")); err != nil {
		t.Error(err)
	} else {
		t.Logf("one command takes %.0f ms", result.Took.Seconds()*1000)
	}
}

func testCopy(t *testing.T, ctx context.Context, a, _ lab.Node) {
	dir := t.TempDir()
	there, back := filepath.Join(dir, "there"), filepath.Join(dir, "back")
	data := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
	if err := os.WriteFile(there, data, 0o640); err != nil {
		t.Fatal(err)
	}
	const path = "/srv/new folder/it's here"
	if err := a.CopyTo(ctx, there, path); err != nil {
		t.Fatal(err)
	}
	if mode := run(t, ctx, a, "stat", "-c", "%a %s", path); mode != fmt.Sprintf("640 %d", len(data)) {
		t.Errorf("mode and size on the node: %s", mode)
	}
	if err := a.CopyFrom(ctx, path, back); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(back)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("came back as %d bytes, %v", len(got), err)
	}
	if info, err := os.Stat(back); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("came back with %v, %v", info.Mode(), err)
	}
	if err := a.CopyFrom(ctx, "/no/such/file", back); err == nil {
		t.Error("copying a file that is not there succeeded")
	}
}

func testNeighbours(t *testing.T, ctx context.Context, a, b lab.Node) {
	if got := run(t, ctx, a, "ssh", "-o", "BatchMode=yes", b.Name(), "hostname"); got != b.Name() {
		t.Errorf("ssh from %s to %s reached %q", a.Name(), b.Name(), got)
	}
	if got := run(t, ctx, b, "ssh", "-o", "BatchMode=yes", "root@"+a.Address(), "hostname"); got != a.Name() {
		t.Errorf("ssh from %s to %s reached %q", b.Name(), a.Address(), got)
	}
}

func testPool(t *testing.T, ctx context.Context, a, _ lab.Node) {
	if err := lab.MakePool(ctx, a, "tank", 256<<20); err != nil {
		t.Fatal(err)
	}
	if got := run(t, ctx, a, "zpool", "list", "-H", "-o", "name"); got != "tank" {
		t.Errorf("pools: %q", got)
	}
	run(t, ctx, a, "zfs", "create", "tank/data")
	if a.Kind() == lab.VM {
		run(t, ctx, a, "sh", "-c", "echo kept >/tank/data/file && sync")
	}
}

// echoes returns the number of pings that a node has received.
func echoes(t *testing.T, ctx context.Context, n lab.Node) int {
	t.Helper()
	count, err := strconv.Atoi(run(t, ctx, n, "awk", `/^Icmp:/ { if (!c) { for (c = 1; $c != "InEchos"; c++); } else print $c }`, "/proc/net/snmp"))
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func testCut(t *testing.T, ctx context.Context, a, b lab.Node) {
	// reach reports whether pings from a return, and whether they arrive.
	reach := func() (back, arrive bool) {
		before := echoes(t, ctx, b)
		_, err := a.Run(ctx, lab.Argv("ping", "-q", "-c", "3", "-i", "0.2", "-W", "1", b.Address()))
		return err == nil, echoes(t, ctx, b) > before
	}
	check := func(what string, wantBack, wantArrive bool) {
		t.Helper()
		if back, arrive := reach(); back != wantBack || arrive != wantArrive {
			t.Errorf("%s: pings arrive %t, come back %t; want %t, %t", what, arrive, back, wantArrive, wantBack)
		}
	}
	restore := func() {
		t.Helper()
		if err := a.RestoreNetwork(ctx); err != nil {
			t.Fatal(err)
		}
	}
	check("before", true, true)
	for _, cut := range []struct {
		direction lab.Direction
		arrive    bool
	}{{lab.In, true}, {lab.Out, false}, {lab.Both, false}} {
		if err := a.CutNetwork(ctx, cut.direction); err != nil {
			t.Fatal(err)
		}
		check("cut "+string(cut.direction), false, cut.arrive)
		restore()
		check("restored after "+string(cut.direction), true, true)
	}
	if err := a.CutNetwork(ctx, "sideways"); err == nil {
		t.Error("an unknown direction was accepted")
	}
}

func testFreeze(t *testing.T, ctx context.Context, a, b lab.Node) {
	if err := a.Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := a.Run(short, lab.Argv("true")); err == nil {
		t.Error("a frozen node ran a command")
	}
	if got := run(t, ctx, b, "hostname"); got != b.Name() {
		t.Errorf("the other node answers %q", got)
	}
	if err := a.Thaw(ctx); err != nil {
		t.Fatal(err)
	}
	if got := run(t, ctx, a, "hostname"); got != a.Name() {
		t.Errorf("thawed, it answers %q", got)
	}
}

func testClock(t *testing.T, ctx context.Context, a, _ lab.Node) {
	err := a.SetClock(ctx, 2*time.Hour)
	var unsupported *lab.UnsupportedError
	if a.Kind() != lab.VM {
		if !errors.As(err, &unsupported) {
			t.Errorf("setting the clock of a namespace node gave %v", err)
		}
		if _, err := a.Run(ctx, lab.Argv("date", "-s", "+1 hour")); err == nil {
			t.Error("a namespace node could set the host's clock")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseInt(run(t, ctx, a, "date", "+%s"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if ahead := time.Until(time.Unix(seconds, 0)); ahead < 2*time.Hour-time.Minute || ahead > 2*time.Hour+time.Minute {
		t.Errorf("the clock is %s ahead, want 2h", ahead)
	}
	if err := a.SetClock(ctx, 0); err != nil {
		t.Fatal(err)
	}
}

func testStop(t *testing.T, ctx context.Context, a, b lab.Node) {
	run(t, ctx, a, "sh", "-c", "echo unsynced >/root/before-stop")
	if err := a.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(ctx, lab.Argv("ping", "-q", "-c", "1", "-W", "1", a.Address())); err == nil {
		t.Error("a stopped node answers")
	}
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	// Neighbours cache the hardware address for a while: it must stay the same.
	run(t, ctx, b, "ping", "-q", "-c", "1", "-W", "1", a.Address())
	if got := run(t, ctx, a, "cat", "/root/before-stop"); got != "unsynced" {
		t.Errorf("what was written before the stop: %q", got)
	}
	checkPool(t, ctx, a)
}

func testPullPlug(t *testing.T, ctx context.Context, a, b lab.Node) {
	boot := run(t, ctx, a, "cat", "/proc/sys/kernel/random/boot_id")
	run(t, ctx, a, "sh", "-c", "echo synced >/root/before-pull && sync && (setsid sleep 1000 >/dev/null 2>&1 &)")
	began := time.Now()
	if err := a.PullPlug(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("plug pulled in %.0f ms", time.Since(began).Seconds()*1000)
	if _, err := b.Run(ctx, lab.Argv("ping", "-q", "-c", "1", "-W", "1", a.Address())); err == nil {
		t.Error("a node without power answers")
	}
	began = time.Now()
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("started again in %.2f s", time.Since(began).Seconds())
	if again := run(t, ctx, a, "cat", "/proc/sys/kernel/random/boot_id"); again == boot || len(again) != 36 {
		t.Errorf("the id of the boot was %s and is %s", boot, again)
	}
	if got := run(t, ctx, a, "cat", "/root/before-pull"); got != "synced" {
		t.Errorf("what was synced before: %q", got)
	}
	if _, err := a.Run(ctx, lab.Argv("sh", "-c", "grep -lxz sleep /proc/[0-9]*/cmdline | xargs grep -lxz 1000")); err == nil {
		t.Error("a process outlived the node")
	}
	checkPool(t, ctx, a)
}

// checkPool checks that the pool is back after a boot. The simulator mounts
// nothing at boot.
func checkPool(t *testing.T, ctx context.Context, a lab.Node) {
	t.Helper()
	if got := run(t, ctx, a, "zpool", "list", "-H", "-o", "name"); got != "tank" {
		t.Errorf("pools after a boot: %q", got)
	}
	if a.Kind() == lab.VM {
		if got := run(t, ctx, a, "cat", "/tank/data/file"); got != "kept" {
			t.Errorf("file in the pool after a boot: %q", got)
		}
	}
}
