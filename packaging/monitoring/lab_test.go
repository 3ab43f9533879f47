//go:build drill

package monitoring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// kind is that of the lab's nodes.
func kind() lab.Kind { return lab.Kind(cmp.Or(os.Getenv("LAB"), string(lab.NS))) }

const pairConfig = `nodes:
  - {name: a, address: 10.77.0.11}
  - {name: b, address: 10.77.0.12}
ssh: {identity_file: /etc/understudy/id_ed25519, known_hosts_file: /etc/understudy/known_hosts}
replication:
  datasets: [{name: tank/data}]
lag: {timeout: 10s}
`

// shell runs a script on a node and returns what it printed and its exit code.
func shell(t *testing.T, n lab.Node, script string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute) // an emulated machine takes long to make snapshots
	defer cancel()
	result, err := n.Run(ctx, lab.Argv("sh", "-c", script))
	if exit, ok := errors.AsType[*lab.ExitError](err); ok {
		return result.Stdout + result.Stderr, exit.Code
	}
	if err != nil {
		t.Fatalf("%s on %s: %v", script, n.Name(), err)
	}
	return result.Stdout, 0
}

// says runs lag-check on a node and wants this code and text.
func says(t *testing.T, n lab.Node, code int, texts ...string) {
	t.Helper()
	began := time.Now()
	out, got := shell(t, n, "/usr/sbin/lag-check; code=$?; /usr/sbin/lag-check -o text >&2; exit $code")
	t.Logf("%s, %.1f s: %s", n.Name(), time.Since(began).Seconds(), strings.TrimSpace(out))
	if got != code {
		t.Errorf("exit code %d on %s, want %d", got, n.Name(), code)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in %q", text, out)
		}
	}
}

// newPair makes two nodes, of which a is active.
func newPair(t *testing.T) (a, b lab.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	l, err := lab.Up(ctx, lab.Options{Kind: kind(), Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	for _, program := range []string{"lag-check", "zfs-replicate"} {
		out := filepath.Join(dir, program)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, "../../cmd/"+program)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", program, err, text)
		}
		if err := l.Install(ctx, out); err != nil {
			t.Fatal(err)
		}
	}
	roles := []string{`{"role":"active","term":1,"newest_term":1,"active_term":1}`, `{"role":"standby","newest_term":1}`}
	for i, n := range l.Nodes {
		if err := lab.MakePool(ctx, n, "tank", 1<<30, "-f"); err != nil {
			t.Fatal(err)
		}
		shell(t, n, fmt.Sprintf("mkdir -p /var/lib/understudy; cat > /etc/understudy/config.yaml <<'END'\n%sEND\necho '%s' > /var/lib/understudy/role.json", pairConfig, roles[i]))
	}
	return l.Nodes[0], l.Nodes[1]
}

// Two real nodes with real ssh between them.
func TestLagOfAPair(t *testing.T) {
	a, b := newPair(t)
	shell(t, a, "zfs create -o mountpoint=none tank/data && zfs create tank/data/idle")
	if out, code := shell(t, a, "zfs-replicate run -o text"); code != 0 {
		t.Fatal(out)
	}
	says(t, a, 0, "LAG OK - b: 2 datasets in sync")
	says(t, b, 0, "LAG OK - b: 2 datasets in sync")

	if err := b.SetClock(t.Context(), time.Hour); err == nil {
		out, code := shell(t, a, "/usr/sbin/lag-check -o text")
		if code != 0 || !strings.Contains(out, "its clock is 1h0m") {
			t.Errorf("exit code %d: %s", code, out)
		}
		says(t, b, 0, "LAG OK - b: 2 datasets in sync")
		if err := b.SetClock(t.Context(), 0); err != nil {
			t.Error(err)
		}
	} else if unsupported, ok := errors.AsType[*lab.UnsupportedError](err); !ok {
		t.Error(err)
	} else {
		t.Logf("NOT RUN HERE: %v", unsupported)
	}

	if err := b.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	says(t, a, 1, "LAG WARNING - b not compared: ", "2 datasets in sync")
	if err := b.Thaw(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.CutNetwork(t.Context(), lab.Both); err != nil {
		t.Fatal(err)
	}
	says(t, a, 1, "LAG WARNING - b not compared: b can't be reached")
	says(t, b, 1, "LAG WARNING - b not compared: a can't be reached")
	if err := b.RestoreNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	says(t, a, 0, "LAG OK")
	shell(t, b, "zfs destroy -r tank/data && zfs create -o mountpoint=none tank/data && zfs snapshot tank/data@$(zfs list -H -o name -t snapshot tank 2>/dev/null | head -1 | cut -d@ -f2)x")
	says(t, a, 2, "tank/data unknown history")
}
