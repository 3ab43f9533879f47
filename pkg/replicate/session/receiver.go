package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Receiver is the standby's end of a session. It trusts nothing that the sender says:
// its own configuration, role and term decide.
type Receiver struct {
	Config  *config.Config
	Node    string
	Release string
	State   *state.Dir
	ZFS     *zfs.ZFS
	Runner  run.Programs
	Log     zerolog.Logger
	Now     func() time.Time
	Local   bool // the standby is another pool of the active node itself
}

// streamGrace is how long a "zfs receive" may take to end by itself after its stream
// has ended: it saves the partial receive.
const streamGrace = 10 * time.Second

// roleWatch is how often a running session reads this node's role.
const roleWatch = 250 * time.Millisecond

// serving is one session of a receiver.
type serving struct {
	*Receiver
	scope  plan.Scope
	mux    *yamux.Session
	sender atomic.Pointer[Hello] // its hello, once accepted

	mu        sync.Mutex
	inventory []zfs.Dataset // as last listed
	listed    []zfs.Root    // of the inventory
	stale     bool          // something was renamed or dropped since
	received  map[string]state.ReceivedDataset
	term      uint64            // the sender's, once it has left everything current
	conflicts map[string]string // as the sender has reported
	lock      *state.Lock
	fatal     error // why this end has ended the session
}

// Serve speaks the session protocol on conn until the sender is done.
func (r *Receiver) Serve(ctx context.Context, conn io.ReadWriteCloser) error {
	stall := r.Config.Replication.Timeouts.Stall
	if _, err := fmt.Fprintf(conn, "%s%d\n", preamble, protocolVersion); err != nil {
		return fmt.Errorf("write the first line: %w", err)
	}
	log := &lastLine{}
	mux, err := yamux.Server(conn, muxConfig(stall, log))
	if err != nil {
		return fmt.Errorf("open the session: %w", err)
	}
	s := &serving{Receiver: r, scope: plan.BothWays(r.Config.Replication.Datasets, r.Local), mux: mux, stale: true, received: map[string]state.ReceivedDataset{}}

	// Calls get a context that ends a while after the session. zfs sees a stream's end
	// at once, and needs the time to save a partial receive.
	calls, cancelCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelCalls()
	stop := context.AfterFunc(ctx, func() { mux.Close() })
	defer stop()
	go s.watch()

	var under sync.WaitGroup
	slots := make(chan struct{}, maxCalls)
	for {
		stream, err := mux.AcceptStream()
		if err != nil {
			break
		}
		slots <- struct{}{}
		under.Go(func() {
			defer func() { <-slots }()
			defer stream.Close()
			if err := s.serve(calls, stream); err != nil {
				s.end(err)
			}
		})
	}
	late := time.AfterFunc(streamGrace, cancelCalls)
	defer late.Stop()
	under.Wait()
	mux.Close()

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock != nil {
		defer s.lock.Unlock()
	}
	err = errors.Join(ctx.Err(), s.remember())
	if s.fatal != nil {
		return s.fatal
	}
	return err
}

// end ends the session from this side.
func (s *serving) end(err error) {
	s.mu.Lock()
	if s.fatal == nil {
		s.fatal = err
	}
	s.mu.Unlock()
	s.mux.Close()
}

// watch ends the session when this node stops being a standby.
func (s *serving) watch() {
	ticker := time.NewTicker(roleWatch)
	defer ticker.Stop()
	for {
		select {
		case <-s.mux.CloseChan():
			return
		case <-ticker.C:
			if sender := s.sender.Load(); sender != nil {
				if err := s.gate(*sender); err != nil {
					s.end(err)
					return
				}
			}
		}
	}
}

// gate is the role check.
func (s *serving) gate(sender Hello) error {
	if s.Local || !s.Config.Replication.RequireRole {
		return nil
	}
	role, err := s.State.Role()
	if err != nil {
		return err
	}
	return mayReceive(role, s.Node, sender)
}

// serve answers one call. An error ends the session; the problem of a dataset goes into
// the reply instead.
func (s *serving) serve(ctx context.Context, stream io.ReadWriter) error {
	reader := bufio.NewReaderSize(stream, 64<<10)
	c, err := readCall(reader)
	switch {
	case errors.Is(err, io.EOF), err != nil && s.mux.IsClosed():
		return nil
	case err != nil:
		return badMessage("%w", err)
	}
	sender := s.sender.Load()
	hello, isHello := c.(*Hello)
	switch {
	case sender == nil && isHello:
		return s.hello(ctx, stream, *hello)
	case sender == nil:
		return badMessage("%q before hello", c.op())
	case isHello:
		return badMessage("a second hello")
	case sender.DryRun && !c.readOnly():
		return badMessage("%q in a dry run", c.op())
	}
	if err := s.gate(*sender); err != nil {
		return s.acknowledge(stream, err)
	}
	return s.answer(ctx, stream, reader, c)
}

func badMessage(format string, args ...any) error {
	return fmt.Errorf("bad message from the sender: "+format, args...)
}

// answer carries out a call that may be made. reader reads the rest of the stream.
func (s *serving) answer(ctx context.Context, stream io.Writer, reader io.Reader, c call) error {
	switch c := c.(type) {
	case *inventoryCall:
		return s.list(ctx, stream, c)
	case *Receive:
		warning, err := s.receive(ctx, reader, c)
		return s.reply(stream, ack{Failure: failure(s.Node, err), Warning: warning})
	case *renameCall:
		return s.acknowledge(stream, s.rename(ctx, c))
	case *abortCall:
		return s.acknowledge(stream, s.abort(ctx, c))
	case *containCall:
		return s.acknowledge(stream, s.contain(ctx, c))
	case *pruneCall:
		pruned, err := s.prune(ctx, c)
		return s.reply(stream, pruneReply{ack{Failure: failure(s.Node, err)}, pruned})
	case *byeCall:
		s.complete(c)
		return s.reply(stream, byeReply{Processes: s.Runner.Counts()})
	}
	return badMessage("unexpected call %q", c.op())
}

// acknowledge replies with a failure, or with none.
func (s *serving) acknowledge(stream io.Writer, err error) error {
	return s.reply(stream, ack{Failure: failure(s.Node, err)})
}

// reply sends a line. A sender that is gone by now is no error.
func (s *serving) reply(stream io.Writer, message any) error {
	if err := writeLine(stream, message); err != nil && !s.mux.IsClosed() {
		return fmt.Errorf("reply to the sender: %w", err)
	}
	return nil
}

func (s *serving) hello(ctx context.Context, stream io.Writer, sender Hello) error {
	reply := helloReply{Version: protocolVersion, Release: s.Release, Node: s.Node, Time: s.Now().UTC()}
	err := s.gate(sender)
	if role, roleErr := s.State.Role(); roleErr == nil {
		reply.Role, reply.Term = role.Role, role.NewestTerm
	}
	if sender.Version != protocolVersion {
		err = &VersionError{Node: s.Node, Theirs: fmt.Sprint(sender.Version)}
	}
	if err == nil && !sender.DryRun {
		var lock *state.Lock
		lock, err = WaitForLock(ctx, s.State, s.Node, s.Config.Replication.Timeouts.Stall)
		s.mu.Lock()
		s.lock = lock
		s.mu.Unlock()
	}
	if err == nil {
		s.sender.Store(&sender)
	}
	reply.Failure = failure(s.Node, err)
	return s.reply(stream, reply)
}
