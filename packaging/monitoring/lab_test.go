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
lag: {timeout: %s}
`

// How long lag-check waits for the other node: hasty where that one hangs,
// patient where an emulated one lists ten thousand snapshots in a minute.
const (
	hasty   = "10s"
	patient = "5m"
)

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
	saysWith(t, n, "", code, texts...)
}

// saysWith is says with variables of the environment, as A=1 B=2.
func saysWith(t *testing.T, n lab.Node, env string, code int, texts ...string) {
	t.Helper()
	began := time.Now()
	out, got := shell(t, n, env+" /usr/sbin/lag-check; code=$?; "+env+" /usr/sbin/lag-check -o text >&2; exit $code")
	t.Logf("%s, %.1f s: %s", n.Name(), time.Since(began).Seconds(), strings.TrimSpace(out[:min(len(out), 1500)]))
	if got != code {
		t.Errorf("exit code %d on %s, want %d", got, n.Name(), code)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in %q", text, out)
		}
	}
}

// must is shell for what has to work.
func must(t *testing.T, n lab.Node, script string) {
	t.Helper()
	if out, code := shell(t, n, "set -e; "+script); code != 0 {
		t.Fatalf("%s on %s: exit code %d: %s", script, n.Name(), code, out)
	}
}

// newPair makes two nodes, of which a is active and which wait that long for
// each other.
func newPair(t *testing.T, timeout string) (a, b lab.Node) {
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
		shell(t, n, fmt.Sprintf("mkdir -p /var/lib/understudy; cat > /etc/understudy/config.yaml <<'END'\n%sEND\necho '%s' > /var/lib/understudy/role.json", fmt.Sprintf(pairConfig, timeout), roles[i]))
	}
	return l.Nodes[0], l.Nodes[1]
}
