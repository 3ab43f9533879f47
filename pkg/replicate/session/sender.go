package session

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/understudy-ha/understudy/pkg/replicate/prune"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Session is the sender's end of the one connection to a standby. Its calls
// may run at the same time.
type Session struct {
	Node string

	mux   *yamux.Session
	log   *lastLine
	link  *Link
	once  sync.Once
	ended error
}

// helloTimeout bounds the time from the connection to the other end's first line.
const helloTimeout = 60 * time.Second

// How long the ssh process may take to end by itself. orderlyGrace is for a complete
// session. brokenGrace is for one that the other end broke off and may explain.
// silentGrace is for one without an answer. A link that is dead in one direction looks
// like either of the last two.
const (
	orderlyGrace = 10 * time.Second
	brokenGrace  = 3 * time.Second
	silentGrace  = 500 * time.Millisecond
)

// Open opens a session on a link. stall is how long a dead link may go unnoticed.
func Open(link *Link, node string, stall time.Duration, hello Hello) (*Session, error) {
	s := &Session{Node: node, link: link, log: &lastLine{}}
	// Nothing below reads with a deadline of its own until the session is up.
	timer := time.AfterFunc(link.Connect+helloTimeout, func() { link.Close() })
	defer timer.Stop()

	reader := bufio.NewReaderSize(link, 64<<10)
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
	s.mux, err = yamux.Client(bufferedConn{reader, link}, muxConfig(stall, s.log))
	if err != nil {
		return nil, s.fail(fmt.Errorf("%s: open the session: %w", node, err))
	}
	hello.Op, hello.Version = opHello, protocolVersion
	if err := s.call(hello, &helloReply{}); err != nil {
		return nil, s.fail(err)
	}
	return s, nil
}

// fail ends the session; the error is the other end's, if it printed one.
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

// Close ends the session and waits for the other end. It returns the other end's error,
// if there is one.
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
		s.ended = s.link.End(grace)
	})
	return s.ended
}

// silent reports whether the session ended because the other end did not answer.
func (s *Session) silent() bool { return strings.Contains(s.log.String(), "keepalive failed") }

// Ended returns why the other end has ended the session; nil while it is open.
func (s *Session) Ended() error {
	if !s.mux.IsClosed() {
		return nil
	}
	// A receiver that ends a session prints its error as it ends.
	if told, ok := errors.AsType[*RemoteError](s.Close()); ok {
		return told
	}
	return s.lost(errors.New("the other end closed it"))
}

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
func (s *Session) call(c call, reply interface{ err() error }) error {
	stream, err := s.mux.OpenStream()
	if err != nil {
		return s.lost(err)
	}
	defer stream.Close()
	if err := writeLine(stream, c); err != nil {
		return s.lost(err)
	}
	if err := readLine(bufio.NewReader(stream), reply); err != nil {
		return s.lost(fmt.Errorf("%s: %s: %w", s.Node, c.op(), err))
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
	if err := writeLine(stream, inventoryCall{operation{opInventory}, roots}); err != nil {
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
	return s.call(renameCall{operation{opRename}, from, kind, to, guid}, &ack{})
}

// Abort drops a partial receive.
func (s *Session) Abort(dataset string) error {
	return s.call(abortCall{operation{opAbort}, dataset}, &ack{})
}

// Contain makes a pool's root a container with the given properties to hand
// down.
func (s *Session) Contain(dataset string, properties map[string]string) error {
	return s.call(containCall{operation{opContain}, dataset, properties}, &ack{})
}

// Prune lets the standby apply its retention.
func (s *Session) Prune(protect map[string]zfs.GUID, dryRun bool) ([]prune.Result, error) {
	var reply pruneReply
	err := s.call(pruneCall{operation{opPrune}, protect, dryRun}, &reply)
	return reply.Pruned, err
}

// Bye ends the run and returns how many processes it took on the standby. complete:
// every dataset is current there. conflicts are the datasets that need the operator's
// decision, and why.
func (s *Session) Bye(complete bool, conflicts map[string]string) (map[string]int, error) {
	var reply byeReply
	err := s.call(byeCall{operation{opBye}, complete, conflicts}, &reply)
	return reply.Processes, err
}
