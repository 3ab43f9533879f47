package data

import (
	"context"
	"fmt"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Demote releases the replicated datasets: it makes them read-only, so that nothing
// is written any more, takes a snapshot of unsaved changes, and unmounts them from
// the innermost mountpoint outwards. It can be killed at any point and called again.
// A dataset has failed if it can still be written to; one that stays mounted
// read-only is a warning.
func (d *Data) Demote(ctx context.Context, step Stepper) (Result, error) {
	w := d.work(step)
	for _, phase := range []func(context.Context) error{
		w.listExisting, w.makeReadOnly, w.snapshotWritten, w.unmount, w.openVolumes,
	} {
		if err := phase(ctx); err != nil {
			return w.result, err
		}
		if err := context.Cause(ctx); err != nil {
			return w.result, err
		}
	}
	return w.result, nil
}

// listExisting lists the datasets. Missing ones are no failure.
func (w *work) listExisting(ctx context.Context) error {
	if err := w.list(ctx, "list datasets"); err != nil {
		return err
	}
	w.noteMissing(false)
	return nil
}

// makeReadOnly makes all datasets read-only and verifies that they are.
func (w *work) makeReadOnly(ctx context.Context) error {
	open := filter(w.inventory.replicated, func(d *dataset) bool { return !d.incomplete && !settled(d) })
	if len(open) > 0 {
		err := w.bestEffort(ctx, "make read-only", len(open), func(ctx context.Context) error {
			w.exemptUnreplicated(ctx, open)
			w.release(ctx, open, true)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(open) == 0 && len(filter(w.inventory.replicated, func(d *dataset) bool { return d.mounted })) == 0 {
		return nil // released before: nothing can have been written since
	}
	w.sync(ctx)
	if err := w.list(ctx, "read back"); err != nil {
		return err
	}
	for _, d := range w.inventory.replicated {
		if !d.readOnly() && !d.incomplete {
			w.fail(d, w.cause(d.name, "still writable"))
		}
	}
	return nil
}

// settled reports whether a dataset has all properties of a released one.
func settled(d *dataset) bool {
	return d.readonly.Local() == "on" && (d.volume() || d.canmount.Local() == "noauto") && (d.released() || d.replica())
}

// release makes datasets read-only and stores their properties in the same call;
// datasets that store the same share calls. A replica stores nothing: on promotion
// it gets the properties that its stream brought.
func (w *work) release(ctx context.Context, datasets []*dataset, noauto bool) {
	type group struct {
		saved  string
		volume bool
	}
	groups := map[group][]string{}
	for _, d := range datasets {
		g := group{volume: d.volume()}
		if !d.released() && !d.replica() {
			g.saved = propertiesOf(d).String()
		}
		groups[g] = append(groups[g], d.name)
	}
	for g, names := range groups {
		set := map[string]string{"readonly": "on"}
		if noauto && !g.volume {
			set["canmount"] = "noauto"
		}
		if g.saved != "" {
			set[zfs.DemotedProperty] = g.saved
		}
		w.inBatches(ctx, names, func(ctx context.Context, names ...string) error { return w.zfs.Set(ctx, set, names...) })
	}
}

// exemptUnreplicated keeps the datasets below the replicated ones that are not
// replicated themselves writable.
func (w *work) exemptUnreplicated(ctx context.Context, datasets []*dataset) {
	ours := map[string]bool{}
	for _, d := range datasets {
		ours[d.name] = true
	}
	inherits := func(name string) bool {
		d := w.inventory.all[name]
		return d != nil && !w.inventory.replicates(name) && !d.readOnly() && d.readonly.Local() == "" && d.readonly.Source != "received" &&
			!zfs.IsPreserved(name)
	}
	var names []string
	for _, name := range sorted(w.inventory.all) {
		if above := zfs.Parent(name); inherits(name) && ours[above] {
			names = append(names, name)
		}
	}
	w.inBatches(ctx, names, func(ctx context.Context, names ...string) error {
		return w.zfs.Set(ctx, map[string]string{"readonly": "off"}, names...)
	})
}

// sync writes out the pools, so that "written" counts everything.
func (w *work) sync(ctx context.Context) {
	forEach(ctx, sorted(byPool(namesOf(w.inventory.replicated))), func(ctx context.Context, pool string) {
		if err := w.zfs.SyncPool(ctx, pool); err != nil {
			w.warn("write out pool %s: %v", pool, err)
		}
	})
}

// snapshotWritten takes a snapshot of each dataset with changes that no snapshot
// holds. Replicas get none, and neither do released datasets that are unchanged:
// a snapshot of this node's own would stop the next incremental stream.
func (w *work) snapshotWritten(ctx context.Context) error {
	if err := w.discountClaimedLogs(ctx); err != nil {
		return err
	}
	written := filter(w.inventory.replicated, func(d *dataset) bool {
		return d.written > 0 && !d.incomplete && (d.released() || !d.replica())
	})
	if len(written) == 0 {
		return nil
	}
	w.result.Written = true
	return w.bestEffort(ctx, "snapshot", len(written), func(ctx context.Context) error {
		w.snapshot(ctx, demotedPrefix, namesOf(written))
		return nil
	})
}

// openVolumes warns of processes that still have a volume open.
func (w *work) openVolumes(ctx context.Context) error {
	for _, d := range filter(w.inventory.replicated, (*dataset).volume) {
		if by := w.holders(ctx, d); by != "" {
			w.warn("volume %s: read-only, but in use by %s", d.name, by)
		}
	}
	return nil
}

// Fence makes the replicated datasets read-only, so that a program that mounts them
// at boot can't write to them. It stores their properties and unmounts nothing.
func (d *Data) Fence(ctx context.Context) (Result, error) {
	w := d.work(Unrecorded)
	if err := w.fence(ctx); err != nil {
		return w.result, err
	}
	for _, d := range w.inventory.replicated {
		if !d.readOnly() && !d.incomplete {
			w.fail(d, w.cause(d.name, "still writable"))
		}
	}
	return w.result, nil
}

// fence makes the writable datasets read-only and lists them again.
func (w *work) fence(ctx context.Context) error {
	if err := w.listExisting(ctx); err != nil {
		return err
	}
	open := filter(w.inventory.replicated, func(d *dataset) bool { return !d.incomplete && !d.readOnly() })
	if len(open) == 0 {
		return nil
	}
	err := w.bestEffort(ctx, "make read-only", len(open), func(ctx context.Context) error {
		w.exemptUnreplicated(ctx, open)
		w.release(ctx, open, false)
		return nil
	})
	if err != nil {
		return err
	}
	return w.list(ctx, "read back")
}

// State returns the state of all replicated datasets, for status.
func (d *Data) State(ctx context.Context) ([]DatasetState, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Failover.DatasetTimeout)
	defer cancel()
	h, err := d.list(ctx)
	if err != nil {
		return nil, err
	}
	d.discountUnchanged(ctx, h.maybeUnchanged(), func(*dataset, string) bool { return true })
	locked := filter(h.replicated, func(ds *dataset) bool { return ds.keyNeeded })
	keys, err := d.keyLocations(ctx, h, locked)
	if err != nil {
		d.log.Debug().Err(err).Msg("cannot list key locations")
	}
	states := make([]DatasetState, 0, len(h.replicated))
	for _, ds := range h.replicated {
		states = append(states, DatasetState{
			Name: ds.name, Type: string(ds.kind), Mountpoint: ds.path(), Writable: !ds.readOnly(), Mounted: ds.mounted,
			Replica: ds.replica(), Demoted: ds.released() && ds.readOnly(), Partial: ds.partial, Written: ds.written, KeyNeeded: ds.keyNeeded,
			KeyTyped: ds.keyNeeded && keyTyped(keys[ds.keyRoot]),
		})
	}
	for _, name := range h.missing {
		states = append(states, DatasetState{Name: name, Missing: true})
	}
	if len(h.suspended) > 0 {
		return states, fmt.Errorf("list the datasets: %w", &SuspendedError{Name: h.suspended[0]})
	}
	return states, nil
}
