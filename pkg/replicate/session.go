package replicate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/replicate/prune"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Session is the sender's end of the one connection to a standby. Its calls
// may run at the same time.
type Session struct {
	Node  string
	Hello helloReply

	mux    *yamux.Session
	log    *lastLine
	closer func(grace time.Duration) error // ends the other end, and says how it ended
	once   sync.Once
	ended  error
}

// helloTimeout bounds the time from the connection's start to the other end's
// first word, beyond the time that connecting may take.
const helloTimeout = 60 * time.Second

// How long the ssh process may take to end by itself: after a session in good
// order, after one that the other end broke off and may want to explain, and
// after one on which there was no answer. A link that is dead in one direction
// looks like either of the last two.
const (
	orderlyGrace = 10 * time.Second
	brokenGrace  = 3 * time.Second
	silentGrace  = 500 * time.Millisecond
)

// DialSSH opens a session over ssh: the one ssh process of a run.
func DialSSH(ctx context.Context, r run.Programs, how remote.SSH, remoteCommand string, stall time.Duration, hello request, node string) (*Session, error) {
	toRemote, stdin, err := feedSSH()
	if err != nil {
		return nil, err
	}
	stdout, fromRemote, err := os.Pipe()
	if err != nil {
		toRemote.Close()
		stdin.Close()
		return nil, fmt.Errorf("make a pipe for ssh: %w", err)
	}
	// On SIGTERM ssh first writes out what it has, which on a dead link takes
	// for ever; nothing of it is needed any more.
	process, err := r.Start(ctx, run.Command{Argv: how.Argv(remoteCommand, "receiver"), Stdin: toRemote, Stdout: fromRemote, Grace: time.Second})
	toRemote.Close()
	fromRemote.Close()
	if err != nil {
		stdin.Close()
		stdout.Close()
		return nil, err
	}
	closer := func(grace time.Duration) error {
		stdin.Close()
		defer stdout.Close()
		// ssh ends when the receiver has; a dead link would keep it.
		timer := time.AfterFunc(grace, process.Kill)
		defer timer.Stop()
		err := process.Wait()
		if err == nil {
			return nil
		}
		explained := how.Explain(remoteCommand, err)
		if said, ok := errors.AsType[*remote.Error](explained); ok {
			return &RemoteError{Node: node, Text: said.Text, Advice: said.Advice, Code: said.Code}
		}
		return explained
	}
	return open(pipeConn{stdout, &frameWriter{WriteCloser: stdin}}, stall, how.ConnectTimeout, hello, node, closer)
}

// feedSSH makes the connection to ssh's stdin. It is wanted as a net.Conn,
// which can write several buffers at once.
func feedSSH() (*os.File, net.Conn, error) {
	input, output, err := run.Feed()
	if err != nil {
		return nil, nil, fmt.Errorf("feed ssh: %w", err)
	}
	defer output.Close() // FileConn has a descriptor of its own
	conn, err := net.FileConn(output)
	if err != nil {
		input.Close()
		return nil, nil, fmt.Errorf("feed ssh: %w", err)
	}
	return input, conn, nil
}

// DialLocal opens a session with a receiver in this process, for a standby
// that is another pool of this machine.
func DialLocal(ctx context.Context, receiver *Receiver, stall time.Duration, hello request, node string) (*Session, error) {
	here, there := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- receiver.Serve(ctx, there) }()
	closer := func(time.Duration) error {
		here.Close()
		return <-served
	}
	return open(here, stall, time.Second, hello, node, closer)
}

// pipeConn joins two pipes into one connection.
type pipeConn struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipeConn) Close() error { return errors.Join(p.WriteCloser.Close(), p.ReadCloser.Close()) }

// bufferedConn reads what was buffered while the preamble was read.
type bufferedConn struct {
	*bufio.Reader
	io.WriteCloser
}

func open(conn io.ReadWriteCloser, stall, connect time.Duration, hello request, node string, closer func(grace time.Duration) error) (*Session, error) {
	s := &Session{Node: node, closer: closer, log: &lastLine{}}
	// Nothing below reads with a deadline of its own until the session is up.
	timer := time.AfterFunc(connect+helloTimeout, func() { conn.Close() })
	defer timer.Stop()

	reader := bufio.NewReaderSize(conn, 64<<10)
	first, err := reader.ReadSlice('\n') // as long as the buffer at most
	line := string(first)
	switch {
	case err != nil && !errors.Is(err, bufio.ErrBufferFull):
		return nil, s.fail(fmt.Errorf("%s: the receiver did not start: %w", node, err))
	case !strings.HasPrefix(line, preamble):
		return nil, s.fail(&Unexpected{Node: node, Line: strings.TrimSpace(line)})
	case strings.TrimSpace(strings.TrimPrefix(line, preamble)) != fmt.Sprint(protocolVersion):
		return nil, s.fail(&VersionError{Node: node, Theirs: strings.TrimSpace(strings.TrimPrefix(line, preamble))})
	}
	s.mux, err = yamux.Client(bufferedConn{reader, conn}, muxConfig(stall, s.log))
	if err != nil {
		return nil, s.fail(fmt.Errorf("%s: open the session: %w", node, err))
	}
	hello.Op, hello.Version = opHello, protocolVersion
	if err := s.call(hello, &s.Hello); err != nil {
		return nil, s.fail(err)
	}
	return s, nil
}

// fail ends the session; where the other end told why, that is the error.
func (s *Session) fail(err error) error {
	var told *RemoteError
	if ended := s.Close(); ended != nil && !errors.As(err, &told) {
		var plain *run.Error
		if !errors.As(ended, &plain) || plain.ExitCode > 0 {
			return ended
		}
	}
	return err
}

// Close ends the session and waits for the other end. It returns why that
// ended, if it was not in good order.
func (s *Session) Close() error {
	s.once.Do(func() {
		grace := orderlyGrace
		if s.mux != nil {
			switch {
			case s.silent():
				grace = silentGrace
			case s.mux.IsClosed():
				grace = brokenGrace
			}
			s.mux.Close()
		}
		s.ended = s.closer(grace)
	})
	return s.ended
}

// silent says whether the session ended because the other end did not answer.
func (s *Session) silent() bool { return strings.Contains(s.log.String(), "keepalive failed") }

// lost explains a call that broke off.
func (s *Session) lost(err error) error {
	if s.mux.IsClosed() {
		if s.silent() {
			return &LostError{Node: s.Node, Cause: errors.New("no answer to pings")}
		}
		return &LostError{Node: s.Node, Cause: err}
	}
	return err
}

// call makes a call with one request and one reply.
func (s *Session) call(req request, reply interface{ err() error }) error {
	stream, err := s.mux.OpenStream()
	if err != nil {
		return s.lost(err)
	}
	defer stream.Close()
	if err := writeLine(stream, req); err != nil {
		return s.lost(err)
	}
	if err := readLine(bufio.NewReader(stream), reply); err != nil {
		return s.lost(fmt.Errorf("%s: %s: %w", s.Node, req.Op, err))
	}
	return reply.err()
}

// Inventory lists the datasets of the standby.
func (s *Session) Inventory(roots []zfs.Root) ([]zfs.Dataset, error) {
	stream, err := s.mux.OpenStream()
	if err != nil {
		return nil, s.lost(err)
	}
	defer stream.Close()
	if err := writeLine(stream, request{Op: opInventory, Roots: roots}); err != nil {
		return nil, s.lost(err)
	}
	reader := bufio.NewReaderSize(stream, 64<<10)
	var datasets []zfs.Dataset
	for {
		var line inventoryLine
		if err := readLine(reader, &line); err != nil {
			return nil, s.lost(fmt.Errorf("%s: inventory: %w", s.Node, err))
		}
		if err := line.err(); err != nil {
			return nil, err
		}
		if line.End {
			return datasets, nil
		}
		if line.Dataset != nil {
			datasets = append(datasets, *line.Dataset)
		}
		if len(line.Snaps) > 0 {
			if len(datasets) == 0 {
				return nil, fmt.Errorf("%s: inventory: snapshots without a dataset", s.Node)
			}
			last := &datasets[len(datasets)-1]
			last.Snapshots = append(last.Snapshots, line.Snaps...)
		}
	}
}

// Rename renames a dataset of the standby, if it still has that guid.
func (s *Session) Rename(kind zfs.Type, from, to string, guid zfs.GUID) error {
	return s.call(request{Op: opRename, Type: kind, Dataset: from, To: to, GUID: guid}, &ack{})
}

// Abort drops a partial receive.
func (s *Session) Abort(dataset string) error {
	return s.call(request{Op: opAbort, Dataset: dataset}, &ack{})
}

// Contain makes a pool's root a container with the given properties to hand
// down.
func (s *Session) Contain(dataset string, properties map[string]string) error {
	return s.call(request{Op: opContain, Dataset: dataset, Set: properties}, &ack{})
}

// Prune lets the standby apply its retention.
func (s *Session) Prune(protect map[string]zfs.GUID, dryRun bool) ([]prune.Result, error) {
	var reply pruneReply
	err := s.call(request{Op: opPrune, Protect: protect, DryRun: dryRun}, &reply)
	return reply.Pruned, err
}

// Bye ends the run in good order and returns how many processes it took there.
// complete says that the standby has all that the run was to bring; conflicts are
// the datasets there that a person has to decide about, and why.
func (s *Session) Bye(complete bool, conflicts map[string]string) (map[string]int, error) {
	var reply byeReply
	err := s.call(request{Op: opBye, Complete: complete, Conflicts: conflicts}, &reply)
	return reply.Processes, err
}

// Unexpected is another program's text where the receiver's first line should
// be.
type Unexpected struct{ Node, Line string }

func (e *Unexpected) Error() string {
	return fmt.Sprintf("%s: the other end said %q instead of the receiver's first line", e.Node, shorten(e.Line, 80))
}

// Hint says where such text comes from.
func (e *Unexpected) Hint() string {
	return "nothing may print at a login without a terminal (~/.bashrc there), and ssh.remote_command must be zfs-replicate"
}

// VersionError is a receiver of another protocol version.
type VersionError struct{ Node, Theirs string }

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s: its zfs-replicate speaks protocol %s, this one %d", e.Node, shorten(e.Theirs, 20), protocolVersion)
}

// Hint says how to mend it.
func (e *VersionError) Hint() string { return "install the same release of understudy on both nodes" }

// LostError is a link or a receiver that went away in the middle.
type LostError struct {
	Node  string
	Cause error
}

func (e *LostError) Error() string { return fmt.Sprintf("connection to %s lost: %v", e.Node, e.Cause) }
func (e *LostError) Unwrap() error { return e.Cause }

// Hint says what happens next.
func (e *LostError) Hint() string {
	return "the next run resumes where this one ended; see that the node is up and its network reaches this one"
}

func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}

// lastLine keeps what yamux logged last.
type lastLine struct {
	mu   sync.Mutex
	text string
}

func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = l.text + string(p)
	if over := len(l.text) - 2000; over > 0 {
		l.text = l.text[over:]
	}
	return len(p), nil
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}
