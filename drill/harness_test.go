//go:build drill

package drill

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
)

// big is the dataset whose stream is interrupted, and size the bytes that each
// scenario writes to it.
const (
	big  = Pool + "/big"
	size = 20 << 20
)

// TestDrill runs the scenarios on one pair. Each scenario leaves both nodes
// equal and nothing running.
func TestDrill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	defer cancel()
	d := newDrill(t, ctx)
	for _, s := range []struct {
		name string
		do   func(*testing.T, *drill)
	}{
		{"sender killed", senderKilled},
		{"receiver killed", receiverKilled},
		{"zfs receive killed", zfsReceiveKilled},
		{"sender interrupted", senderInterrupted},
		{"link cut", linkCut},
		{"link cut one way", linkCutOneWay},
		{"plug pulled on the standby", plugPulled},
		{"standby full", standbyFull},
		{"snapshot and dataset vanish", vanish},
		{"two runs", twoRuns},
		{"zfs hangs", zfsHangs},
		{"ssh", sshTroubles},
		{"the other end", otherEnd},
		{"forced command", forcedCommand},
		{"one of two standbys down", oneStandbyDown},
		{"role", roles},
		{"promoted in the middle", promotedInTheMiddle},
		{"a standby that was away", standbyAway},
		{"killed twenty times", killedTwentyTimes},
		{"the other direction", otherDirection},
	} {
		t.Run(s.name, func(t *testing.T) {
			record(t, s.name, nil)
			ctx, cancel := context.WithTimeout(ctx, 6*time.Minute)
			defer cancel()
			began := time.Now()
			d.ctx = ctx
			s.do(t, d)
			t.Logf("%.1f s", time.Since(began).Seconds())
		})
	}
}

// drill is the pair under test.
type drill struct {
	*Pair
	ctx      context.Context
	compared map[string]bool // snapshots whose content was the same on both sides
}

func newDrill(t *testing.T, ctx context.Context) *drill {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the drill makes network namespaces, which needs root: sudo make drill")
	}
	programs, err := Build(ctx, Kind(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := Up(ctx, Options{Kind: Kind(), Programs: programs, PoolSize: 2 << 30, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Down(); err != nil {
			t.Error(err)
		}
	})
	d := &drill{Pair: p, ctx: ctx, compared: map[string]bool{}}
	d.shell(t, p.A, `zfs create tank/big; zfs create tank/small; zfs create "tank/two words"; zfs create -V 8m tank/volume
		echo root >/tank/file; echo small >/tank/small/file; echo words >"/tank/two words/file"; sync`)
	d.converges(t)
	return d
}

func (d *drill) shell(t *testing.T, n lab.Node, script string, args ...string) string {
	t.Helper()
	text, err := Shell(d.ctx, n, script, args...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (d *drill) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes incompressible bytes into a dataset on a.
func (d *drill) write(t *testing.T, dataset string, bytes int) {
	t.Helper()
	d.shell(t, d.A, `head -c "$2" /dev/urandom >"/$1/data"; sync`, dataset, fmt.Sprint(bytes))
}

// slow limits the bandwidth, so that a scenario can interrupt a stream where it
// wants.
func slow(c Config) { c.Set("replication.bandwidth", "5MiB/s") }

// run runs zfs-replicate on a.
func (d *drill) run(t *testing.T, args ...string) Outcome {
	t.Helper()
	o, err := StartRun(d.ctx, d.A, args...).Wait()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// broken writes to big, starts a slow run, and breaks something after that many
// bytes. It returns the end of the run and how long it took.
func (d *drill) broken(t *testing.T, at int64, change func(Config), breakIt func()) (Outcome, time.Duration) {
	t.Helper()
	d.must(t, d.Configure(d.ctx, func(c Config) {
		slow(c)
		if change != nil {
			change(c)
		}
	}))
	d.write(t, big, size)
	run := StartRun(d.ctx, d.A)
	if err := AwaitBytes(d.ctx, d.A, at); err != nil {
		o, waitErr := run.Wait()
		t.Fatalf("%v; the run: code %d, %v\n%s", err, o.Code, waitErr, o.Stderr)
	}
	broke := time.Now()
	breakIt()
	o, err := run.Wait()
	if err != nil && !strings.Contains(err.Error(), "ssh: ") { // ended by a signal
		t.Fatal(err)
	}
	return o, time.Since(broke)
}

// resumes runs again without faults and checks that the run resumes the stream
// and both nodes are equal.
func (d *drill) resumes(t *testing.T) {
	t.Helper()
	d.must(t, d.Configure(d.ctx, nil))
	o := d.run(t)
	item := o.Item(big)
	switch {
	case o.Code != 0:
		t.Fatalf("the next run ended with code %d:\n%s", o.Code, o.Stderr)
	case item == nil || item.Action != plan.Resume:
		t.Errorf("the next run did not resume: %+v", item)
	case item.Bytes >= size:
		t.Errorf("the next run sent %d bytes, of a stream of %d", item.Bytes, size)
	default:
		t.Logf("resumed after %d bytes, %d sent", item.Streams[0].Received, item.Bytes)
	}
	d.clean(t)
}

// converges runs once, which must succeed, and checks that both nodes are
// equal.
func (d *drill) converges(t *testing.T, args ...string) Outcome {
	t.Helper()
	d.must(t, d.Configure(d.ctx, nil))
	o := d.run(t, args...)
	if o.Code != 0 {
		t.Fatalf("a run that should do ended with code %d:\n%s", o.Code, o.Stderr)
	}
	d.clean(t)
	return o
}

// clean checks that both nodes are equal and at rest.
func (d *drill) clean(t *testing.T) {
	t.Helper()
	d.equal(t, d.A, d.B)
	d.atRest(t)
}

// equal checks that both nodes have the same snapshots with the same contents.
// A snapshot never changes, so each one is compared once.
func (d *drill) equal(t *testing.T, from, to lab.Node) {
	t.Helper()
	rows, err := CompareGUIDs(d.ctx, from, to)
	d.must(t, err)
	if len(rows) < 4 {
		t.Errorf("only %d datasets are compared", len(rows))
	}
	rows = slices.DeleteFunc(rows, func(r Row) bool { return r.Equal() && d.compared[r.Source+r.SourceGUID] })
	d.must(t, CompareContents(d.ctx, from, to, rows))
	for _, r := range rows {
		if !r.Equal() || r.SourceSum == "" {
			t.Errorf("the sides differ: %s", r)
		}
		d.compared[r.Source+r.SourceGUID] = r.Equal()
	}
}

// atRest checks that no process and no lock is left on either node. Processes
// of a session may take a moment to end.
func (d *drill) atRest(t *testing.T) {
	t.Helper()
	for _, n := range []lab.Node{d.A, d.B} {
		d.gone(t, n, 15*time.Second)
		held := d.shell(t, n, `shopt -s nullglob; for f in /var/lib/understudy/*.lock; do flock -n "$f" true || echo "$f"; done`)
		if held != "" {
			t.Errorf("locks are held on %s: %s", n.Name(), held)
		}
	}
}

// gone waits for the end of all our processes on a node and returns how long it
// took.
func (d *drill) gone(t *testing.T, n lab.Node, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		left, err := Processes(d.ctx, n)
		d.must(t, err)
		if len(left) == 0 {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			t.Errorf("still running on %s after %s:\n%s", n.Name(), limit, strings.Join(left, "\n"))
			return limit
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// fails checks the exit code of an outcome, and its only error line and hint
// line. The expressions must match the whole lines.
func fails(t *testing.T, o Outcome, code int, errorLine, hintLine string) {
	t.Helper()
	var errorLines, hintLines []string
	for line := range strings.Lines(o.Stderr) {
		line = strings.TrimSpace(line)
		if _, text, found := strings.Cut(line, "zfs-replicate: error: "); found {
			errorLines = append(errorLines, text)
		} else if text, found := strings.CutPrefix(line, "hint: "); found {
			hintLines = append(hintLines, text)
		}
	}
	ok := func(lines []string, expression string) bool {
		return len(lines) == 1 && regexp.MustCompile("^(?:"+expression+")$").MatchString(lines[0])
	}
	if o.Code != code {
		t.Errorf("exit code %d, want %d:\n%s", o.Code, code, o.Stderr)
	}
	if !ok(errorLines, errorLine) || !ok(hintLines, hintLine) {
		t.Errorf("want one error line like\n  %s\nand one hint like\n  %s\ngot\n%s", errorLine, hintLine, o.Stderr)
	}
}

// others checks that a run succeeded for all datasets but those named.
func others(t *testing.T, o Outcome, but ...string) {
	t.Helper()
	if o.Result == nil || len(o.Result.Standbys) == 0 {
		t.Errorf("the run reports nothing:\n%s", o.Stderr)
		return
	}
	for _, item := range o.Result.Standbys[0].Items {
		if bad := item.Error != "" || item.Stuck(); bad && !slices.Contains(but, item.Source) {
			t.Errorf("%s is not in order: %s %s", item.Source, item.Error, item.Reason)
		}
	}
}

// kill sends SIGKILL to the processes on a node whose command line matches.
func (d *drill) kill(t *testing.T, n lab.Node, pattern string) {
	t.Helper()
	d.shell(t, n, `pids=$(pgrep -f "$1"); kill -9 $pids`, pattern)
}

// sideFile makes a file that is removed when the test ends.
func (d *drill) sideFile(t *testing.T, n lab.Node, path, text string) {
	t.Helper()
	d.must(t, WriteFile(d.ctx, n, path, text))
	d.shell(t, n, `chmod 755 "$1"`, path)
	d.afterwards(t, n, `rm -f "$1"`, path)
}

// instead replaces a file on a node until the test ends.
func (d *drill) instead(t *testing.T, n lab.Node, path, text string) {
	t.Helper()
	d.shell(t, n, `cp -p "$1" "$1.kept"; cat >"$1" <<<"$2"`, path, text)
	d.afterwards(t, n, `mv "$1.kept" "$1"`, path)
}

// afterwards runs a script when the test ends, whether it passes or fails.
func (d *drill) afterwards(t *testing.T, n lab.Node, script string, args ...string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := Shell(ctx, n, script, args...); err != nil {
			t.Error(err)
		}
	})
}
