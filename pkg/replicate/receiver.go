package replicate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/klauspost/compress/zstd"
	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Receiver is the standby's end of a session. It trusts nothing that the
// sender says: what may be received, renamed or pruned follows from its own
// config, role and term.
type Receiver struct {
	Config  *config.Config
	Node    string
	Release string
	State   *state.Dir
	ZFS     *zfs.ZFS
	Runner  *run.Runner
	Log     zerolog.Logger
	Now     func() time.Time
	Local   bool // the standby is another pool of the active node itself
}

// streamGrace is how long a "zfs receive" may take to end by itself when its
// stream has: it saves what it has got.
const streamGrace = 10 * time.Second

// roleWatch is how often a running session looks at this node's role.
const roleWatch = time.Second

// serving is one session of a receiver.
type serving struct {
	*Receiver
	scope  Scope
	mux    *yamux.Session
	sender atomic.Pointer[request] // its hello, once accepted

	mu        sync.Mutex
	inventory []zfs.Dataset // as last listed
	listed    []zfs.Root    // what was listed
	stale     bool          // something was received since
	received  map[string]Received
	lock      *state.Lock
	fatal     error // why the session was ended from here
}

// Serve speaks the session protocol on conn until the sender is done.
func (r *Receiver) Serve(ctx context.Context, conn io.ReadWriteCloser) error {
	stall := r.Config.Replication.Timeouts.Stall
	if _, err := fmt.Fprintf(conn, "%s%d\n", preamble, protocolVersion); err != nil {
		return fmt.Errorf("say the first line: %w", err)
	}
	log := &lastLine{}
	mux, err := yamux.Server(conn, muxConfig(stall, log))
	if err != nil {
		return fmt.Errorf("open the session: %w", err)
	}
	s := &serving{Receiver: r, scope: Scope(r.Config.Replication.Datasets), mux: mux, stale: true, received: map[string]Received{}}

	// Calls get a context that ends a while after the session: a stream's end
	// reaches zfs by itself, at once, and lets it save what it has got.
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

// waitForLock keeps sessions that change something apart. Another one is waited
// for as long as it takes to notice that its link is dead.
func (r *Receiver) waitForLock(ctx context.Context) (*state.Lock, error) {
	deadline := time.Now().Add(r.Config.Replication.Timeouts.Stall + 5*time.Second)
	for {
		lock, err := r.State.Lock("receiver-" + r.Node)
		var held *state.LockedError
		if !errors.As(err, &held) || time.Now().After(deadline) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
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
func (s *serving) gate(sender request) error {
	if s.Local || !s.Config.Replication.RequireRole {
		return nil
	}
	role, err := s.State.Role()
	if err != nil {
		return err
	}
	return mayReceive(role, s.Node, sender)
}

// serve answers one call. An error ends the session: what is wrong with a
// dataset goes into the reply instead.
func (s *serving) serve(ctx context.Context, stream io.ReadWriter) error {
	reader := bufio.NewReaderSize(stream, 64<<10)
	var req request
	if err := readLine(reader, &req); err != nil {
		if errors.Is(err, io.EOF) || s.mux.IsClosed() {
			return nil
		}
		return fmt.Errorf("bad message from the sender: %w", err)
	}
	sender := s.sender.Load()
	switch {
	case sender == nil && req.Op == opHello:
		return s.hello(ctx, stream, req)
	case sender == nil:
		return fmt.Errorf("bad message from the sender: %q before hello", shorten(req.Op, 20))
	case sender.DryRun && !req.harmless():
		return fmt.Errorf("bad message from the sender: %q in a dry run", shorten(req.Op, 20))
	}
	answer := func(err error) error {
		return s.reply(stream, ack{Failure: remote(s.Node, err)})
	}
	if err := s.gate(*sender); err != nil {
		return answer(err)
	}
	switch req.Op {
	case opInventory:
		return s.list(ctx, stream, req)
	case opReceive:
		warning, err := s.receive(ctx, reader, req)
		return s.reply(stream, ack{Failure: remote(s.Node, err), Warning: warning})
	case opRename:
		return answer(s.rename(ctx, req))
	case opAbort:
		return answer(s.abort(ctx, req))
	case opContain:
		return answer(s.contain(ctx, req))
	case opPrune:
		pruned, err := s.prune(ctx, req)
		return s.reply(stream, pruneReply{ack{Failure: remote(s.Node, err)}, pruned})
	case opBye:
		return s.reply(stream, byeReply{Processes: s.Runner.Counts()})
	}
	return fmt.Errorf("bad message from the sender: unknown call %q", shorten(req.Op, 20))
}

// reply sends a line; that the sender is gone by now is no error.
func (s *serving) reply(stream io.Writer, message any) error {
	if err := writeLine(stream, message); err != nil && !s.mux.IsClosed() {
		return fmt.Errorf("reply to the sender: %w", err)
	}
	return nil
}

func (s *serving) hello(ctx context.Context, stream io.Writer, req request) error {
	reply := helloReply{Version: protocolVersion, Release: s.Release, Node: s.Node, Time: s.Now().UTC()}
	err := s.gate(req)
	if role, roleErr := s.State.Role(); roleErr == nil {
		reply.Role, reply.Term = role.Role, role.NewestTerm
	}
	if req.Version != protocolVersion {
		err = &VersionError{Node: s.Node, Theirs: fmt.Sprint(req.Version)}
	}
	if err == nil && !req.DryRun {
		var lock *state.Lock
		lock, err = s.waitForLock(ctx)
		s.mu.Lock()
		s.lock = lock
		s.mu.Unlock()
	}
	if err == nil {
		s.sender.Store(&req)
	}
	reply.Failure = remote(s.Node, err)
	return s.reply(stream, reply)
}

// list sends the inventory of those of the asked-for datasets that this
// node's config lists.
func (s *serving) list(ctx context.Context, stream io.Writer, req request) error {
	for _, root := range req.Roots {
		if !s.scope.lists(root) {
			return s.reply(stream, inventoryLine{ack: ack{Failure: remote(s.Node, s.notMine(root.Name))}})
		}
	}
	datasets, err := s.ZFS.Datasets(ctx, req.Roots)
	if err != nil {
		return s.reply(stream, inventoryLine{ack: ack{Failure: remote(s.Node, err)}})
	}
	s.mu.Lock()
	s.inventory, s.listed, s.stale = datasets, req.Roots, false
	s.mu.Unlock()
	for i := range datasets {
		snaps := datasets[i].Snapshots
		line := inventoryLine{Dataset: &datasets[i]}
		for {
			n := min(len(snaps), snapsPerLine)
			line.Snaps, snaps = snaps[:n], snaps[n:]
			if err := s.reply(stream, line); err != nil {
				return err
			}
			if len(snaps) == 0 {
				break
			}
			line = inventoryLine{}
		}
	}
	return s.reply(stream, inventoryLine{End: true})
}

// notMine is a dataset that this node's config does not list.
func (s *serving) notMine(dataset string) error {
	return &Refusal{
		What:   fmt.Sprintf("dataset %s is not listed in the config of %s", shorten(dataset, 100), s.Node),
		Advice: "use the same replication.datasets in the config of both nodes",
	}
}

// receive feeds one stream to "zfs receive".
func (s *serving) receive(ctx context.Context, stream io.Reader, req request) (warning string, err error) {
	if err := s.mayReceiveInto(req); err != nil {
		return "", err
	}
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
	if req.Compress == "zstd" {
		decoder, err := zstd.NewReader(stream, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return "", fmt.Errorf("decompress the stream: %w", err)
		}
		defer decoder.Close()
		stream = decoder
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := watchIdle(s.Config.Replication.Timeouts.Stream, func(after time.Duration) {
		cancel(fmt.Errorf("receive into %s: no byte has moved for %s: its deadline has passed", req.Dataset, after))
	})
	defer idle.stop()
	into, err := s.ZFS.Receive(ctx, zfs.Receive{Dataset: req.Dataset, Type: req.Type, Origin: req.Origin, Flags: req.Flags, Set: req.Set})
	if err != nil {
		return "", err
	}
	_, copyErr := io.CopyBuffer(onlyWriter{into}, idle.reader(stream), make([]byte, bufferSize))
	if err := into.Finish(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("receive into %s: %w%s", req.Dataset, err, s.space(err, req.Dataset))
	}
	if copyErr != nil {
		return "", fmt.Errorf("receive into %s: %w", req.Dataset, copyErr)
	}
	s.mu.Lock()
	s.received[req.Dataset] = Received{Snapshot: req.Snapshot, GUID: req.GUID, At: s.Now().UTC()}
	s.mu.Unlock()
	return into.Warnings(), nil
}

// onlyWriter hides the file's ReadFrom, so that the buffer given is used.
type onlyWriter struct{ io.Writer }

// space says how full the pool is, where that is why a stream failed.
func (s *serving) space(err error, dataset string) string {
	if !errors.Is(err, zfs.NoSpace) {
		return ""
	}
	pool, poolErr := s.ZFS.Pool(zfs.PoolOf(dataset))
	if poolErr != nil {
		return ""
	}
	return fmt.Sprintf(" (pool %s: %s free of %s)", pool.Name, bytesText(pool.Free), bytesText(pool.Size))
}

// handedDown are the properties that datasets inherit from a pool's root, and
// that change how they behave or how they are mounted.
var handedDown = map[string]bool{
	"mountpoint": true, "compression": true, "checksum": true, "atime": true, "relatime": true, "recordsize": true,
	"xattr": true, "acltype": true, "aclinherit": true, "aclmode": true, "devices": true, "exec": true, "setuid": true,
	"snapdir": true, "snapdev": true, "sync": true, "logbias": true, "primarycache": true, "secondarycache": true,
	"copies": true, "redundant_metadata": true, "dnodesize": true, "volmode": true, "overlay": true,
	"special_small_blocks": true, "canmount": true,
}

func (s *serving) mayReceiveInto(req request) error {
	if !s.scope.Allows(req.Dataset) {
		return s.notMine(req.Dataset)
	}
	if req.Origin != "" && !s.scope.Allows(datasetOf(req.Origin)) {
		return s.notMine(req.Origin)
	}
	if req.Type != zfs.Filesystem && req.Type != zfs.Volume {
		return fmt.Errorf("receive into %s: unknown type %q", req.Dataset, req.Type)
	}
	if strings.Trim(req.Flags, "Lce") != "" {
		return fmt.Errorf("receive into %s: unknown flags %q", req.Dataset, req.Flags)
	}
	if req.Compress != "" && req.Compress != "zstd" {
		return fmt.Errorf("receive into %s: unknown compression %q", req.Dataset, req.Compress)
	}
	for property := range req.Set {
		if property != "mountpoint" {
			return fmt.Errorf("receive into %s: property %q may not be set", req.Dataset, property)
		}
	}
	return nil
}

// rename follows a rename on the source.
func (s *serving) rename(ctx context.Context, req request) error {
	for _, name := range []string{req.Dataset, req.To} {
		if !s.scope.Allows(name) {
			return s.notMine(name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = true
	datasets, err := s.ZFS.Datasets(ctx, []zfs.Root{{Name: req.Dataset}})
	if err != nil {
		return err
	}
	if len(datasets) != 1 || datasets[0].GUID != req.GUID {
		return fmt.Errorf("rename %s: it is not the dataset that was listed before", req.Dataset)
	}
	if err := s.ZFS.Rename(ctx, datasets[0].Type, req.Dataset, req.To); err != nil {
		return fmt.Errorf("rename %s to %s: %w", req.Dataset, req.To, err)
	}
	return nil
}

// abort drops a partial receive.
func (s *serving) abort(ctx context.Context, req request) error {
	if !s.scope.Allows(req.Dataset) {
		return s.notMine(req.Dataset)
	}
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
	if err := s.ZFS.AbortReceive(ctx, req.Dataset); err != nil {
		return fmt.Errorf("drop the partial receive of %s: %w", req.Dataset, err)
	}
	return nil
}

// contain makes a pool's root a container: it hands properties down as the
// active node's root does, and its own content lies below it.
func (s *serving) contain(ctx context.Context, req request) error {
	if !s.scope.Allows(req.Dataset) || zfs.Parent(req.Dataset) != "" {
		return s.notMine(req.Dataset)
	}
	datasets, err := s.ZFS.Datasets(ctx, []zfs.Root{{Name: req.Dataset}})
	if err != nil {
		return err
	}
	if len(datasets) != 1 || len(snapshotsOf(&datasets[0])) > 0 {
		return fmt.Errorf("make %s a container: it has snapshots of its own", req.Dataset)
	}
	for property, value := range req.Set {
		if !handedDown[property] {
			return fmt.Errorf("make %s a container: property %q may not be set", req.Dataset, property)
		}
		if err := s.ZFS.SetProperty(req.Dataset, property, value); err != nil {
			return err
		}
	}
	return s.ZFS.SetProperty(req.Dataset, zfs.ContainerProperty, req.Dataset)
}

// prune applies this node's own retention to what it holds.
func (s *serving) prune(ctx context.Context, req request) ([]Pruned, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale {
		datasets, err := s.ZFS.Datasets(ctx, s.scope.Targets())
		if err != nil {
			return nil, err
		}
		s.inventory, s.listed, s.stale = datasets, s.scope.Targets(), false
	}
	protect := map[string]map[uint64]bool{}
	for dataset, guid := range req.Protect {
		var n uint64
		if _, err := fmt.Sscan(guid, &n); err != nil {
			return nil, fmt.Errorf("prune %s: guid %q: %w", dataset, guid, err)
		}
		protect[dataset] = map[uint64]bool{n: true}
	}
	var mine []zfs.Dataset
	for _, d := range s.inventory {
		// A dataset that the sender did not vouch for keeps all it has.
		if _, ok := protect[d.Name]; ok && s.scope.Allows(d.Name) {
			mine = append(mine, d)
		}
	}
	p := pruner{zfs: s.ZFS, prefix: s.Config.Replication.Prefix, keep: s.Config.Replication.KeepOnStandby, dryRun: req.DryRun}
	return p.prune(ctx, mine, protect), nil
}

// remember writes down what came, for status and lag.
func (s *serving) remember() error {
	if s.Local || len(s.received) == 0 {
		return nil
	}
	var record ReceivedRecord
	if _, err := s.State.Read(receivedName, &record); err != nil {
		s.Log.Warn().Err(err).Msg("starting a new record of what was received")
		record = ReceivedRecord{}
	}
	if record.Datasets == nil {
		record.Datasets = map[string]Received{}
	}
	for name, r := range s.received {
		record.Datasets[name] = r
	}
	if sender := s.sender.Load(); sender != nil {
		record.From = sender.Node
	}
	if !s.stale { // renamed or destroyed ones are forgotten
		maps.DeleteFunc(record.Datasets, func(name string, _ Received) bool {
			looked := slices.ContainsFunc(s.listed, func(root zfs.Root) bool { return root.Recursive && zfs.Within(name, root.Name) })
			return looked && !slices.ContainsFunc(s.inventory, func(d zfs.Dataset) bool { return d.Name == name })
		})
	}
	record.At = s.Now().UTC()
	return s.State.Write(receivedName, record)
}
