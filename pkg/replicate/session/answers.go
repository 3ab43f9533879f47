package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/prune"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// list sends the inventory of the requested datasets, which this node's configuration
// must list.
func (s *serving) list(ctx context.Context, stream io.Writer, c *inventoryCall) error {
	for _, root := range c.Roots {
		if !s.scope.Lists(root) {
			return s.reply(stream, inventoryLine{ack: ack{Failure: failure(s.Node, s.notMine(root.Name))}})
		}
	}
	datasets, err := s.ZFS.DatasetsBare(ctx, c.Roots)
	if err != nil {
		return s.reply(stream, inventoryLine{ack: ack{Failure: failure(s.Node, err)}})
	}
	s.mu.Lock()
	s.inventory, s.listed, s.stale = datasets, c.Roots, false
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

// notMine is the refusal of a dataset that this node's configuration does not list.
func (s *serving) notMine(dataset string) error {
	return &plan.Refusal{
		What:   fmt.Sprintf("dataset %s is not listed in the config of %s", shorten(dataset, 100), s.Node),
		Advice: "use the same replication.datasets in the config of both nodes",
	}
}

// receive feeds one stream to "zfs receive".
func (s *serving) receive(ctx context.Context, stream io.Reader, c *Receive) (warning string, err error) {
	if err := s.mayReceiveInto(c); err != nil {
		return "", err
	}
	if c.Compress == "zstd" {
		decoder, err := decompressor(stream)
		if err != nil {
			return "", fmt.Errorf("decompress the stream: %w", err)
		}
		defer decoder.Close()
		stream = decoder
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := WatchIdle(s.Config.Replication.Timeouts.Stream, func(after time.Duration) {
		cancel(fmt.Errorf("receive into %s: no byte has moved for %s: its deadline has passed", c.Dataset, after))
	})
	defer idle.Stop()
	into, err := s.ZFS.Receive(ctx, zfs.Receive{Dataset: c.Dataset, Type: c.Type, Origin: c.Origin, Flags: c.Flags, Set: c.Set})
	if err != nil {
		return "", err
	}
	_, copyErr := Copy(into, idle.Reader(stream))
	if err := into.Finish(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		err = fmt.Errorf("receive into %s: %w%s", c.Dataset, err, s.space(err, c.Dataset))
		if errors.Is(err, zfs.Modified) && !s.Local {
			err = &writtenTo{s.Node, err}
		}
		return "", err
	}
	if copyErr != nil {
		return "", fmt.Errorf("receive into %s: %w", c.Dataset, copyErr)
	}
	s.arrived(c)
	return into.Warnings(), nil
}

// space describes the pool's free space if a stream failed for lack of it.
func (s *serving) space(err error, dataset string) string {
	if !errors.Is(err, zfs.NoSpace) {
		return ""
	}
	pool, poolErr := s.ZFS.Pool(zfs.PoolOf(dataset))
	if poolErr != nil {
		return ""
	}
	return fmt.Sprintf(" (pool %s: %s free of %s)", pool.Name, report.Bytes(int64(pool.Free)), report.Bytes(int64(pool.Size)))
}

func (s *serving) mayReceiveInto(c *Receive) error {
	if !s.scope.Allows(c.Dataset) {
		return s.notMine(c.Dataset)
	}
	if c.Origin != "" && !s.scope.Allows(zfs.DatasetOf(c.Origin)) {
		return s.notMine(c.Origin)
	}
	if c.Type != zfs.Filesystem && c.Type != zfs.Volume {
		return fmt.Errorf("receive into %s: unknown type %q", c.Dataset, c.Type)
	}
	if strings.Trim(c.Flags, "Lce") != "" {
		return fmt.Errorf("receive into %s: unknown flags %q", c.Dataset, c.Flags)
	}
	if c.Compress != "" && c.Compress != "zstd" {
		return fmt.Errorf("receive into %s: unknown compression %q", c.Dataset, c.Compress)
	}
	for property := range c.Set {
		if property != "mountpoint" {
			return fmt.Errorf("receive into %s: property %q may not be set", c.Dataset, property)
		}
	}
	return nil
}

// rename follows a rename on the source.
func (s *serving) rename(ctx context.Context, c *renameCall) error {
	for _, name := range []string{c.Dataset, c.To} {
		if !s.scope.Allows(name) {
			return s.notMine(name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = true
	datasets, err := s.ZFS.Datasets(ctx, []zfs.Root{{Name: c.Dataset}})
	if err != nil {
		return err
	}
	if len(datasets) != 1 || datasets[0].GUID != c.GUID {
		return fmt.Errorf("rename %s: it is not the dataset listed before", c.Dataset)
	}
	if err := s.ZFS.Rename(ctx, datasets[0].Type, c.Dataset, c.To); err != nil {
		return fmt.Errorf("rename %s to %s: %w", c.Dataset, c.To, err)
	}
	return nil
}

// abort drops a partial receive.
func (s *serving) abort(ctx context.Context, c *abortCall) error {
	if !s.scope.Allows(c.Dataset) {
		return s.notMine(c.Dataset)
	}
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
	if err := s.ZFS.AbortReceive(ctx, c.Dataset); err != nil {
		return fmt.Errorf("drop the partial receive of %s: %w", c.Dataset, err)
	}
	return nil
}

// contain makes a pool's root a container: it hands down the properties of the active
// node's root, and the content of that root is received below it.
func (s *serving) contain(ctx context.Context, c *containCall) error {
	if !s.scope.Allows(c.Dataset) || zfs.Parent(c.Dataset) != "" {
		return s.notMine(c.Dataset)
	}
	datasets, err := s.ZFS.Datasets(ctx, []zfs.Root{{Name: c.Dataset}})
	if err != nil {
		return err
	}
	if len(datasets) != 1 || len(datasets[0].OnlySnapshots()) > 0 {
		return &plan.Refusal{What: fmt.Sprintf("make %s a container: it has snapshots of its own", c.Dataset),
			Advice: fmt.Sprintf("run 'zfs-replicate rejoin' on %s: it preserves its unreplicated changes", s.Node)}
	}
	for property := range c.Set {
		if !plan.HandedDown(property) {
			return fmt.Errorf("make %s a container: property %q may not be set", c.Dataset, property)
		}
	}
	// This comes first: a new mountpoint would mount it otherwise.
	if err := s.ZFS.SetProperty(c.Dataset, "canmount", "off"); err != nil {
		return err
	}
	for property, value := range c.Set {
		if err := s.ZFS.SetProperty(c.Dataset, property, value); err != nil {
			return err
		}
	}
	return s.ZFS.SetProperty(c.Dataset, zfs.ContainerProperty, c.Dataset)
}

// prune applies this node's own retention to its datasets.
func (s *serving) prune(ctx context.Context, c *pruneCall) ([]prune.Result, error) {
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
	for dataset, guid := range c.Protect {
		protect[dataset] = map[zfs.GUID]bool{guid: true}
	}
	var mine []zfs.Dataset
	for _, d := range s.inventory {
		// A dataset that the sender does not name keeps all its snapshots.
		if _, ok := protect[d.Name]; ok && s.scope.Allows(d.Name) {
			mine = append(mine, d)
		}
	}
	retention := plan.Retention{Prefix: s.Config.Replication.Prefix, Keep: s.Config.Replication.KeepOnStandby}
	return prune.Pruner{ZFS: s.ZFS, Retention: retention, DryRun: c.DryRun}.Prune(ctx, mine, protect), nil
}
