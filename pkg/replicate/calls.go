package replicate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/prune"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// list sends the inventory of those of the asked-for datasets that this
// node's config lists.
func (s *serving) list(ctx context.Context, stream io.Writer, req request) error {
	for _, root := range req.Roots {
		if !s.scope.Lists(root) {
			return s.reply(stream, inventoryLine{ack: ack{Failure: failure(s.Node, s.notMine(root.Name))}})
		}
	}
	datasets, err := s.ZFS.DatasetsBare(ctx, req.Roots)
	if err != nil {
		return s.reply(stream, inventoryLine{ack: ack{Failure: failure(s.Node, err)}})
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
	return &plan.Refusal{
		What:   fmt.Sprintf("dataset %s is not listed in the config of %s", shorten(dataset, 100), s.Node),
		Advice: "use the same replication.datasets in the config of both nodes",
	}
}

// receive feeds one stream to "zfs receive".
func (s *serving) receive(ctx context.Context, stream io.Reader, req request) (warning string, err error) {
	if err := s.mayReceiveInto(req); err != nil {
		return "", err
	}
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
		err = fmt.Errorf("receive into %s: %w%s", req.Dataset, err, s.space(err, req.Dataset))
		if errors.Is(err, zfs.Modified) && !s.Local {
			err = &writtenTo{s.Node, err}
		}
		return "", err
	}
	if copyErr != nil {
		return "", fmt.Errorf("receive into %s: %w", req.Dataset, copyErr)
	}
	s.arrived(req)
	return into.Warnings(), nil
}

// arrived enters the snapshot that a stream ended with into the record and
// into what was listed, so that pruning need not list anew. Those that came
// between are met by the next session.
func (s *serving) arrived(req request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	came := state.ReceivedDataset{Snapshot: req.Snapshot, GUID: uint64(req.GUID), At: s.Now().UTC(), TXG: req.TXG}
	if sender := s.sender.Load(); sender != nil {
		came.From = sender.Node
	}
	s.received[req.Dataset] = came
	i := slices.IndexFunc(s.inventory, func(d zfs.Dataset) bool { return d.Name == req.Dataset })
	if i < 0 {
		i = len(s.inventory)
		s.inventory = append(s.inventory, zfs.Dataset{Name: req.Dataset, Type: req.Type})
	}
	snap := zfs.Snap{Name: req.Snapshot, GUID: req.GUID, CreateTXG: 1}
	if snaps := s.inventory[i].Snapshots; len(snaps) > 0 {
		snap.CreateTXG = snaps[len(snaps)-1].CreateTXG + 1
	}
	s.inventory[i].Snapshots = append(s.inventory[i].Snapshots, snap)
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
	"special_small_blocks": true,
}

func (s *serving) mayReceiveInto(req request) error {
	if !s.scope.Allows(req.Dataset) {
		return s.notMine(req.Dataset)
	}
	if req.Origin != "" && !s.scope.Allows(zfs.DatasetOf(req.Origin)) {
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
	if len(datasets) != 1 || len(datasets[0].OnlySnapshots()) > 0 {
		return &plan.Refusal{What: fmt.Sprintf("make %s a container: it has snapshots of its own", req.Dataset),
			Advice: fmt.Sprintf("run 'zfs-replicate rejoin' on %s: it keeps what is only there", s.Node)}
	}
	for property := range req.Set {
		if !handedDown[property] {
			return fmt.Errorf("make %s a container: property %q may not be set", req.Dataset, property)
		}
	}
	// First of all it is not mounted any more: otherwise a new mountpoint would
	// mount it there.
	if err := s.ZFS.SetProperty(req.Dataset, "canmount", "off"); err != nil {
		return err
	}
	for property, value := range req.Set {
		if err := s.ZFS.SetProperty(req.Dataset, property, value); err != nil {
			return err
		}
	}
	return s.ZFS.SetProperty(req.Dataset, zfs.ContainerProperty, req.Dataset)
}

// prune applies this node's own retention to what it holds.
func (s *serving) prune(ctx context.Context, req request) ([]prune.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale {
		datasets, err := s.ZFS.DatasetsBare(ctx, s.scope.Targets())
		if err != nil {
			return nil, err
		}
		s.inventory, s.listed, s.stale = datasets, s.scope.Targets(), false
	}
	protect := map[string]map[zfs.GUID]bool{}
	for dataset, guid := range req.Protect {
		protect[dataset] = map[zfs.GUID]bool{guid: true}
	}
	var mine []zfs.Dataset
	for _, d := range s.inventory {
		// A dataset that the sender did not vouch for keeps all it has.
		if _, ok := protect[d.Name]; ok && s.scope.Allows(d.Name) {
			mine = append(mine, d)
		}
	}
	retention := plan.Retention{Prefix: s.Config.Replication.Prefix, Keep: s.Config.Replication.KeepOnStandby}
	return prune.Pruner{ZFS: s.ZFS, Retention: retention, DryRun: req.DryRun}.Prune(ctx, mine, protect), nil
}

// maxConflict bounds what is remembered of one conflict, in bytes.
const maxConflict = 400

// complete notes that a run has left everything current here, or what it could
// not, since both nodes have something of their own.
func (s *serving) complete(req request) {
	if s.Local {
		return // nothing is remembered of it: see remember
	}
	told := map[string]string{}
	for dataset, text := range req.Conflicts {
		if s.scope.Allows(dataset) {
			told[dataset] = shorten(text, maxConflict)
			s.Log.Warn().Str("dataset", dataset).Str("from", s.sender.Load().Node).Msg("conflict, as the active node sees it: " + told[dataset] + "; to end it run 'zfs-replicate rejoin' here")
		}
	}
	s.mu.Lock()
	s.conflicts = told
	s.mu.Unlock()
	if sender := s.sender.Load(); sender != nil && req.Complete && !sender.DryRun {
		s.mu.Lock()
		s.term = sender.Term
		s.mu.Unlock()
	}
}

// remember writes down what came, for status and lag.
func (s *serving) remember() error {
	if s.Local || len(s.received) == 0 && s.term == 0 && len(s.conflicts) == 0 {
		return nil
	}
	record, _, err := s.State.Received()
	if err != nil {
		s.Log.Warn().Err(err).Msg("starting a new record of what was received")
		record = state.Received{}
	}
	if record.Datasets == nil {
		record.Datasets = map[string]state.ReceivedDataset{}
	}
	if len(s.received) == 0 && record.Term >= s.term && len(s.conflicts) == 0 && len(record.Conflicts) == 0 {
		return nil
	}
	if len(s.conflicts) > 0 || s.term > 0 {
		record.Conflicts = s.conflicts
	}
	record.Term = max(record.Term, s.term)
	for name, r := range s.received {
		record.Datasets[name] = r
	}
	if sender := s.sender.Load(); sender != nil {
		record.From = sender.Node
	}
	if !s.stale { // renamed or destroyed ones are forgotten
		maps.DeleteFunc(record.Datasets, func(name string, _ state.ReceivedDataset) bool {
			looked := slices.ContainsFunc(s.listed, func(root zfs.Root) bool { return root.Recursive && zfs.Within(name, root.Name) })
			return looked && !slices.ContainsFunc(s.inventory, func(d zfs.Dataset) bool { return d.Name == name })
		})
	}
	record.At = s.Now().UTC()
	return s.State.Write(state.ReceivedName, record)
}
