//go:build drill

package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// TestUpgrade upgrades a pair from the previous release, the standby first. In
// between, the two releases work together in both roles, each on the state of
// the previous one.
func TestUpgrade(t *testing.T) {
	if Kind() == lab.VM {
		t.Log("this runs on nodes in namespaces: which release sends and which one receives has nothing to do with real ZFS")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	dir := t.TempDir()
	programs, err := BuildSite(ctx, Kind(), dir)
	if err != nil {
		t.Fatal(err)
	}
	old := programs
	buildPrevious(t, ctx, dir, &old)
	d := startTakeover(t, ctx, old)
	defer d.report(t)
	d.gated(t)
	u := &upgrade{takeover: d, programs: programs, upgraded: map[lab.Node]bool{}}
	d.goThrough(t, ctx, []scenario{
		{"both nodes on the previous release", u.of(nil), ""},
		{"the standby upgraded", u.of(d.B), ""},
		{"the active node upgraded", u.of(d.A), ""},
	})
}

// buildPrevious builds the programs of the previous release and puts them in
// the place of the current ones.
func buildPrevious(t *testing.T, ctx context.Context, dir string, programs *SitePrograms) {
	t.Helper()
	commit := previousRelease(t)
	git := func(args ...string) *exec.Cmd {
		// Under sudo the checkout belongs to somebody else.
		cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "-C", ".."}, args...)...)
		cmd.WaitDelay = time.Second
		return cmd
	}
	if text, err := git("cat-file", "-e", commit+"^{commit}").CombinedOutput(); err != nil {
		t.Fatalf("the previous release, commit %s of drill/previous-release, is not in this clone: %v\n%s\nfetch the whole history: git fetch --unshallow", commit, err, text)
	}
	tree, archive := filepath.Join(dir, "previous"), filepath.Join(dir, "previous.tar")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-X "+module+"/pkg/cli.version="+previous, "-o", tree,
		"./cmd/zfs-replicate", "./cmd/failover-notify", "./cmd/track-traefik")
	build.Dir = filepath.Join(tree, "source")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	build.WaitDelay = time.Second
	for _, cmd := range []*exec.Cmd{
		git("archive", "--prefix=source/", "-o", archive, commit),
		exec.CommandContext(ctx, "tar", "-xf", archive, "-C", tree),
		build,
	} {
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build the previous release: %s: %v\n%s", cmd, err, text)
		}
	}
	programs.Replicate, programs.Failover, programs.Track = filepath.Join(tree, "zfs-replicate"), filepath.Join(tree, "failover-notify"), filepath.Join(tree, "track-traefik")
	programs.Whole = "" // all of it was one program
}

// previous is the version that the programs of the previous release print.
const previous = "previous-release"

// previousRelease returns the commit that drill/previous-release names.
func previousRelease(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(previous)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	t.Fatalf("drill/%s names no commit", previous)
	return ""
}

// upgrade is a site between two releases.
type upgrade struct {
	*takeover
	programs SitePrograms // of this release
	upgraded map[lab.Node]bool
}

// of returns the scenario that upgrades a node, if any, and moves everything to
// the other node and back.
func (u *upgrade) of(n lab.Node) func(*testing.T, *takeover) {
	return func(t *testing.T, _ *takeover) {
		if n != nil {
			u.install(t, n)
		}
		u.whole(t)
		for range 2 {
			u.move(t)
			u.whole(t)
		}
	}
}

// install upgrades a node as its package does: it replaces the programs and
// restarts the watcher. Nothing moves, and nothing stops.
func (u *upgrade) install(t *testing.T, n lab.Node) {
	t.Helper()
	u.must(t, u.programs.install(u.ctx, n))
	u.must(t, lab.StopService(u.ctx, n, "watch"))
	u.must(t, lab.StartService(u.ctx, n, "watch"))
	u.upgraded[n] = true
	u.stays(t, 3*time.Second)
}

// move performs a switchover.
func (u *upgrade) move(t *testing.T) {
	t.Helper()
	from, asked := u.active.Name(), time.Now()
	u.shell(t, u.active, `failover-notify switchover >&2`)
	u.active, u.standby = u.standby, u.active
	u.serves(t)
	u.lostNothing(t)
	t.Logf("from %s to %s: no write was taken for %.2f s", from, u.active.Name(), u.gap(t, from, u.active.Name(), asked).Seconds())
}

// whole checks the pair: the active node replicates, the standby is ready, both
// nodes report the same roles, and each runs its release.
func (u *upgrade) whole(t *testing.T) {
	t.Helper()
	u.replicate(t)
	u.ready(t)
	u.lostNothing(t)
	for _, n := range u.Lab.Nodes {
		if roles := u.roles(t, n); roles[u.active.Name()] != "active" || roles[u.standby.Name()] != "standby" {
			t.Errorf("%s says of the pair: %v; %s is active", n.Name(), roles, u.active.Name())
		}
		u.shell(t, n, `zfs-replicate status >&2; zfs-replicate kept list >&2; failover-notify history >&2`)
		for _, program := range []string{"zfs-replicate", "failover-notify", "track-traefik"} {
			if version := u.shell(t, n, `"$1" --version`, program); strings.Contains(version, previous) == u.upgraded[n] {
				t.Errorf("%s has %s %s; upgraded: %v", n.Name(), program, version, u.upgraded[n])
			}
		}
	}
}

// roles returns the roles of both nodes in a node's status.
func (u *upgrade) roles(t *testing.T, n lab.Node) map[string]string {
	t.Helper()
	result := u.tries(t, n, "failover-notify", "status", "-o", "json")
	var pair struct {
		Nodes []struct {
			Node   string `json:"node"`
			Error  string `json:"error"`
			Status struct {
				Role string `json:"role"`
			} `json:"status"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal([]byte(result.Stdout), &pair); err != nil {
		t.Fatalf("status of %s: %v in %s%s", n.Name(), err, result.Stdout, result.Stderr)
	}
	roles := map[string]string{}
	for _, one := range pair.Nodes {
		roles[one.Node] = one.Status.Role
		if one.Error != "" {
			roles[one.Node] = fmt.Sprintf("not asked: %s", one.Error)
		}
	}
	return roles
}
