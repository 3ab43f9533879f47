package run

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// killGrace is how long a program may take to die of SIGTERM, and after it
// of SIGKILL, before it counts as stuck in the kernel.
const killGrace = 5 * time.Second

// Programs starts programs. In production it is a Runner; a simulated node has
// programs of its own.
type Programs interface {
	// Start starts a program: see Runner.Start.
	Start(ctx context.Context, c Command) (Process, error)
	// Run runs a program to its end.
	Run(ctx context.Context, c Command) error
	// Output runs a program to its end and returns what it printed on stdout,
	// also when it failed.
	Output(ctx context.Context, timeout time.Duration, argv ...string) ([]byte, error)
	// Counts returns how many processes of each program have been started.
	Counts() map[string]int
}

// Runner starts programs and counts them. The zero value is not usable; use New.
type Runner struct {
	log    zerolog.Logger
	mu     sync.Mutex
	counts map[string]int
}

// New returns a runner that logs each program it starts at debug level.
func New(log zerolog.Logger) *Runner {
	return &Runner{log: log, counts: map[string]int{}}
}

// Counts returns how many processes of each program (by base name) this
// runner has started.
func (r *Runner) Counts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[string]int, len(r.counts))
	for name, n := range r.counts {
		counts[name] = n
	}
	return counts
}

// Command is one program to start.
type Command struct {
	// Argv is the program and its arguments. The program is looked up on PATH.
	Argv []string
	// Timeout bounds the whole run; 0 leaves it to the context.
	Timeout time.Duration
	// Stdin and Stdout are handed to the program; nil is /dev/null. An
	// *os.File is passed as it is, without a copying goroutine.
	Stdin  io.Reader
	Stdout io.Writer
	// Stderr, where not nil, gets what the program prints there, too.
	Stderr io.Writer
	// Env is added to this process's environment, as KEY=VALUE.
	Env []string
	// Without are beginnings of names: variables of this process's environment
	// that the program does not get. One with a = at its end is a whole name.
	Without []string
	// Grace is how long the program may take to die of SIGTERM before it is
	// killed; 0 is a time that is ample for most.
	Grace time.Duration
}

// Environ is this process's environment as KEY=VALUE, less the variables whose
// names begin with one of without.
func Environ(without ...string) []string {
	return slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return slices.ContainsFunc(without, func(prefix string) bool { return strings.HasPrefix(pair, prefix) })
	})
}

// Process is a started program. Wait must be called once.
type Process interface {
	// Wait waits for the program to end. The error is an *Error, or nil when the
	// program exited with 0.
	Wait() error
	// Kill ends the program as if its context had ended.
	Kill()
	// Stderr returns the tail of what the program has printed on stderr so far.
	Stderr() string
}

// process is a Process of this machine.
type process struct {
	cmd     *exec.Cmd
	ctx     context.Context
	cancel  context.CancelFunc
	argv    []string
	started time.Time
	stderr  *tail
	log     zerolog.Logger
	grace   time.Duration
	done    chan struct{}
	waitErr error
}

// Start starts a program. Its process group is ended (SIGTERM, then SIGKILL)
// when ctx ends or the timeout has passed, and the kernel kills it if this
// process dies first.
func (r *Runner) Start(ctx context.Context, c Command) (Process, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("start a program: empty argv")
	}
	var cancel context.CancelFunc
	if c.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, c.Timeout, errTimeout)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	p := &process{
		ctx: ctx, cancel: cancel, argv: c.Argv,
		stderr: &tail{limit: 8 << 10}, log: r.log, grace: cmp.Or(c.Grace, killGrace), done: make(chan struct{}),
	}
	p.cmd = exec.Command(c.Argv[0], c.Argv[1:]...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = c.Stdin, c.Stdout, p.stderr
	if c.Stderr != nil {
		p.cmd.Stderr = io.MultiWriter(p.stderr, c.Stderr)
	}
	if len(c.Env) > 0 || len(c.Without) > 0 {
		p.cmd.Env = append(Environ(c.Without...), c.Env...)
	}
	// A grandchild that keeps the pipes open must not keep Wait waiting.
	p.cmd.WaitDelay = killGrace
	// Pdeathsig is bound to the thread that forks, not to the process; the Go
	// runtime keeps its threads, and nothing here ends one (no goroutine exits
	// while locked to its thread).
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		cancel()
		return nil, &Error{Argv: c.Argv, ExitCode: -1, Cause: err}
	}
	r.mu.Lock()
	r.counts[filepath.Base(c.Argv[0])]++
	r.mu.Unlock()

	go p.reap()
	return p, nil
}

// reap waits for the process, and ends its group when the context ends.
func (p *process) reap() {
	exited := make(chan error, 1)
	go func() { exited <- p.cmd.Wait() }()
	defer close(p.done)

	select {
	case p.waitErr = <-exited:
		return
	case <-p.ctx.Done():
	}
	for _, end := range []struct {
		signal syscall.Signal
		within time.Duration
	}{{syscall.SIGTERM, p.grace}, {syscall.SIGKILL, killGrace}} {
		_ = syscall.Kill(-p.cmd.Process.Pid, end.signal)
		select {
		case p.waitErr = <-exited:
			return
		case <-time.After(end.within):
		}
	}
	// In uninterruptible sleep not even SIGKILL ends it. It stays this
	// process's child; init gets it when this process ends.
	p.waitErr = errStuck
}

// errTimeout tells the program's own deadline from its caller's.
var errTimeout = errors.New("its deadline has passed")

var errStuck = errors.New("it does not die of SIGKILL: stuck in the kernel")

// Kill ends the process group as if the context had ended.
func (p *process) Kill() { p.cancel() }

// Wait waits for the program to end. The error is an *Error, or nil when the
// program exited with 0.
func (p *process) Wait() error {
	<-p.done
	ended, timedOut := p.ctx.Err(), context.Cause(p.ctx) == errTimeout
	p.cancel()
	elapsed := time.Since(p.started)
	p.log.Debug().Strs("argv", p.argv).Dur("ms", elapsed).Int("exit", p.cmd.ProcessState.ExitCode()).Msg("ran")
	if p.waitErr == nil {
		return nil
	}
	e := &Error{Argv: p.argv, ExitCode: -1, Elapsed: elapsed, Stderr: p.stderr.String(), Cause: p.waitErr}
	if p.cmd.ProcessState != nil {
		e.ExitCode = p.cmd.ProcessState.ExitCode()
	}
	switch {
	case errors.Is(p.waitErr, errStuck), ended == nil:
	case timedOut:
		e.TimedOut = true
		e.Cause = ended
	default:
		e.Cause = ended
	}
	return e
}

// Stderr returns the tail of what the program has printed on stderr so far.
func (p *process) Stderr() string { return p.stderr.String() }

// Output runs a program to its end and returns what it printed on stdout.
// What it printed before it failed is returned too.
func (r *Runner) Output(ctx context.Context, timeout time.Duration, argv ...string) ([]byte, error) {
	var out bytes.Buffer
	err := r.Run(ctx, Command{Argv: argv, Timeout: timeout, Stdout: &out})
	return out.Bytes(), err
}

// Run runs a program to its end.
func (r *Runner) Run(ctx context.Context, c Command) error {
	c.Argv = slices.Clone(c.Argv)
	p, err := r.Start(ctx, c)
	if err != nil {
		return err
	}
	return p.Wait()
}

// tail keeps the last limit bytes written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	buf   []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
