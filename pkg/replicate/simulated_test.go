package replicate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/command"
	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/memory"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// node is a machine in memory: its ZFS, its state, its programs.
type node struct {
	*memory.Memory
	t     *testing.T
	name  string
	state *state.Dir
}

func newNode(t *testing.T, name string) *node {
	t.Helper()
	n := &node{memory.New(time.Now, rand.NewChaCha8([32]byte{name[0]})), t, name, state.On(&state.Memory{Name: "/" + name})}
	n.write("/disk", strings.Repeat("\x00", 64<<20))
	n.does("zpool create -m /tank tank /disk")
	return n
}

func (n *node) write(path, text string) {
	n.t.Helper()
	if err := n.WriteFile(path, []byte(text)); err != nil {
		n.t.Fatal(err)
	}
}

// does runs a command line that succeeds and returns what it prints.
func (n *node) does(line string) string {
	n.t.Helper()
	out, err := n.Output(n.t.Context(), 0, strings.Fields(line)...)
	if err != nil {
		n.t.Fatalf("%s: %v", line, err)
	}
	return strings.TrimSpace(string(out))
}

// guids are those of a dataset's snapshots.
func (n *node) guids(dataset string) []string {
	return strings.Fields(n.does("zfs list -H -o guid -t snapshot " + dataset))
}

func (n *node) zfs() *zfs.ZFS { return zfs.New(n, time.Minute) }

// Start implements run.Programs.
func (n *node) Start(ctx context.Context, c run.Command) (run.Process, error) {
	p := &program{argv: c.Argv, ended: make(chan struct{})}
	var out io.Writer = io.Discard
	if c.Stdout != nil {
		out = c.Stdout
	}
	var in io.Reader = strings.NewReader("")
	if c.Stdin != nil {
		in = c.Stdin
	}
	stop := context.AfterFunc(ctx, p.Kill)
	go func() {
		defer close(p.ended)
		defer stop()
		p.code = command.Run(ctx, n.Machine(), app.Process{Args: c.Argv, Stdin: mortal{p, in, nil}, Stdout: mortal{p, nil, out}, Stderr: &p.stderr, Root: "/store"})
	}()
	return p, nil
}

// Run implements run.Programs.
func (n *node) Run(ctx context.Context, c run.Command) error {
	p, err := n.Start(ctx, c)
	if err != nil {
		return err
	}
	return p.Wait()
}

// Output implements run.Programs.
func (n *node) Output(ctx context.Context, _ time.Duration, argv ...string) ([]byte, error) {
	var out bytes.Buffer
	err := n.Run(ctx, run.Command{Argv: argv, Stdout: &out})
	return out.Bytes(), err
}

// Counts implements run.Programs.
func (n *node) Counts() map[string]int { return nil }

// program is a zfs or zpool that runs in this process.
type program struct {
	argv   []string
	killed atomic.Bool
	ended  chan struct{}
	code   int
	stderr bytes.Buffer
}

func (p *program) Wait() error {
	<-p.ended
	if p.code == 0 {
		return nil
	}
	return &run.Error{Argv: p.argv, ExitCode: p.code, Stderr: p.stderr.String(), Cause: errors.New("it failed")}
}

func (p *program) Kill() { p.killed.Store(true) }

func (p *program) Stderr() string {
	<-p.ended
	return p.stderr.String()
}

// mortal ends a killed program at its next read or write.
type mortal struct {
	program *program
	in      io.Reader
	out     io.Writer
}

func (m mortal) Read(p []byte) (int, error) {
	n, err := m.in.Read(p)
	if m.program.killed.Load() {
		panic(machine.Killed{})
	}
	return n, err
}

func (m mortal) Write(p []byte) (int, error) {
	n, err := m.out.Write(p)
	if m.program.killed.Load() {
		panic(machine.Killed{})
	}
	return n, err
}

// pair is a node that replicates to another one, over net.Pipe.
type pair struct {
	a, b   *node
	config *config.Config
	cut    atomic.Bool // the link carries nothing
}

func newPair(t *testing.T) *pair {
	p := &pair{a: newNode(t, "a"), b: newNode(t, "b")}
	p.config = &config.Config{Nodes: []config.Node{{Name: "a"}, {Name: "b"}}}
	r := &p.config.Replication
	r.Datasets = []config.Dataset{{Name: "tank/app", Recursive: true}}
	r.Prefix, r.Snapshot, r.RequireRole = "replicate", "changed", true
	r.Keep, r.KeepOnStandby = config.Keep{Last: 2}, config.Keep{Last: 2}
	r.Timeouts = config.Timeouts{ZFS: time.Minute, Stall: 20 * time.Second, Stream: time.Hour}
	p.role(p.a, state.RoleActive)
	p.role(p.b, state.RoleStandby)
	p.a.does("zfs create tank/app")
	return p
}

func (p *pair) role(n *node, role state.Role) {
	if err := n.state.SetRole(state.RoleFile{Role: role, Term: 1, NewestTerm: 1}); err != nil {
		n.t.Fatal(err)
	}
}

func (p *pair) engine() *Engine {
	return &Engine{Config: p.config, Self: p.config.Nodes[0], State: p.a.state, ZFS: p.a.zfs(), Runner: p.a, Log: zerolog.Nop(), Now: time.Now, Dialer: p}
}

// Dial implements session.Dialer.
func (p *pair) Dial(ctx context.Context, node config.Node) (*session.Link, error) {
	r := &session.Receiver{Config: p.config, Node: node.Name, State: p.b.state, ZFS: p.b.zfs(), Runner: p.b, Log: zerolog.Nop(), Now: time.Now}
	here, there := net.Pipe()
	near, far := net.Pipe()
	go p.carry(here, far)
	go p.carry(far, here)
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx, there) }()
	end := func(time.Duration) error {
		near.Close()
		here.Close()
		if err := <-served; err != nil {
			return &session.RemoteError{Node: node.Name, Text: err.Error()} // as over ssh
		}
		return nil
	}
	return &session.Link{ReadWriteCloser: near, Connect: time.Second, End: end}, nil
}

// carry is one direction of the link. A cut one takes bytes and loses them.
func (p *pair) carry(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if p.cut.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// quiet shows nothing; sent, if set, is called for the bytes of each stream.
type quiet struct{ sent func() }

func (quiet) Planned(string, plan.Plan, int64) {}
func (quiet) Done(string, *ItemResult)         {}
func (quiet) WantsEstimates() bool             { return false }
func (q quiet) Sent(string, string, int64) {
	if q.sent != nil {
		q.sent()
	}
}

// bubble runs a test in fake time. yamux keeps its timers in a sync.Pool of the process,
// and a timer must not be used in two bubbles: two collections empty the pool.
func bubble(t *testing.T, test func(*testing.T)) {
	runtime.GC()
	runtime.GC()
	synctest.Test(t, test)
}

// A run with both ends in one process, without a file, a process or a real second.
func TestRunInOneProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t)
		for i, want := range []plan.Action{plan.Full, plan.Incremental, plan.Incremental} {
			p.a.write("/tank/app/file", strings.Repeat("x", i+1))
			time.Sleep(time.Minute)
			result, err := p.engine().Run(t.Context(), Options{Progress: quiet{}})
			if err != nil {
				t.Fatal(err)
			}
			if got := result.Standbys[0].Items[0].Action; got != want {
				t.Errorf("run %d: %s, want %s", i, got, want)
			}
		}
		if here, there := p.a.guids("tank/app"), p.b.guids("tank/app"); !slices.Equal(here, there) || len(here) != 2 {
			t.Errorf("snapshots %v, on the standby %v", here, there)
		}
		received, found, err := p.b.state.Received()
		if err != nil || !found || received.From != "a" || received.Term != 1 || len(received.Datasets) != 1 {
			t.Errorf("%+v, %v, %v", received, found, err)
		}
	})
}

// A link that carries nothing any more ends the run within the stall, and the next
// run sends the rest.
func TestDeadLinkEndsTheRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t)
		p.a.write("/tank/app/file", strings.Repeat("x", 4<<20))
		began := time.Now()
		_, err := p.engine().Run(t.Context(), Options{Progress: quiet{func() { p.cut.Store(true) }}})
		lost, ok := errors.AsType[*session.LostError](err)
		if took := time.Since(began); !ok || took > p.config.Replication.Timeouts.Stall+11*time.Second {
			t.Errorf("after %v: %v, %v", took, lost, err)
		}
		time.Sleep(time.Minute)
		p.cut.Store(false)
		if _, err := p.engine().Run(t.Context(), Options{Progress: quiet{}}); err != nil {
			t.Fatal(err)
		}
		if here, there := p.a.guids("tank/app"), p.b.guids("tank/app"); !slices.Equal(here, there) {
			t.Errorf("snapshots %v, on the standby %v", here, there)
		}
	})
}

// A standby that is promoted during a stream refuses the rest of it.
func TestPromotionEndsTheRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t)
		p.a.write("/tank/app/file", strings.Repeat("x", 4<<20))
		_, err := p.engine().Run(t.Context(), Options{Progress: quiet{func() {
			p.role(p.b, state.RolePromoting)
			time.Sleep(time.Second)
		}}})
		if err == nil || !strings.Contains(err.Error(), "b is promoting") {
			t.Errorf("%v", err)
		}
	})
}
