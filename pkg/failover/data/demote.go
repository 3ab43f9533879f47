package data

import (
	"context"
	"fmt"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Demote gives the replicated datasets up: read-only first, so that nothing is
// written any more, then a snapshot of what was, then unmounted, what is below
// first. It can be killed at any point and called again. A dataset has failed
// when it may still be written to; one that stays mounted read-only is a
// warning.
func (d *Data) Demote(ctx context.Context, step Stepper) (Result, error) {
	w := d.work(step)
	for _, phase := range []func(context.Context) error{
		w.takeBack, w.freeze, w.keepWritten, w.unmount, w.openVolumes,
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

func (w *work) takeBack(ctx context.Context) error {
	if err := w.list(ctx, "list datasets"); err != nil {
		return err
	}
	w.absent(false)
	return nil
}

// freeze makes everything read-only and sees that it is.
func (w *work) freeze(ctx context.Context) error {
	open := filter(w.holding.mine, func(d *dataset) bool { return !d.unborn && !settled(d) })
	if len(open) > 0 {
		err := w.soft(ctx, "make read-only", len(open), func(ctx context.Context) error {
			w.spare(ctx, open)
			w.give(ctx, open, true)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(open) == 0 && len(filter(w.holding.mine, func(d *dataset) bool { return d.mounted })) == 0 {
		return nil // it was done before: nothing can have been written since
	}
	w.sync(ctx)
	if err := w.list(ctx, "read back"); err != nil {
		return err
	}
	for _, d := range w.holding.mine {
		if !d.readOnly() && !d.unborn {
			w.fail(d, w.cause(d.name, "it is not read-only"))
		}
	}
	return nil
}

// settled reports whether there is nothing left to set.
func settled(d *dataset) bool {
	return d.readonly.Local() == "on" && (d.volume() || d.canmount.Local() == "noauto") && (d.given() || d.replica())
}

// give makes datasets read-only, in one call with what they remember, those
// that remember the same together. A replica needs no memory: it becomes what
// the stream said.
func (w *work) give(ctx context.Context, datasets []*dataset, noauto bool) {
	type group struct {
		mark   string
		volume bool
	}
	groups := map[group][]string{}
	for _, d := range datasets {
		g := group{volume: d.volume()}
		if !d.given() && !d.replica() {
			g.mark = markOf(d).String()
		}
		groups[g] = append(groups[g], d.name)
	}
	for g, names := range groups {
		set := map[string]string{"readonly": "on"}
		if noauto && !g.volume {
			set["canmount"] = "noauto"
		}
		if g.mark != "" {
			set[zfs.DemotedProperty] = g.mark
		}
		w.inBatches(ctx, names, func(ctx context.Context, names ...string) error { return w.zfs.Set(ctx, set, names...) })
	}
}

// spare keeps what lies below our datasets and is not replicated from
// becoming read-only with them.
func (w *work) spare(ctx context.Context, datasets []*dataset) {
	ours := map[string]bool{}
	for _, d := range datasets {
		ours[d.name] = true
	}
	inherits := func(name string) bool {
		d := w.holding.all[name]
		return d != nil && !w.holding.owns(name) && !d.readOnly() && d.readonly.Local() == "" && d.readonly.Source != "received" &&
			!zfs.IsPreserved(name)
	}
	var names []string
	for _, name := range sorted(w.holding.all) {
		if above := zfs.Parent(name); inherits(name) && ours[above] {
			names = append(names, name)
		}
	}
	w.inBatches(ctx, names, func(ctx context.Context, names ...string) error {
		return w.zfs.Set(ctx, map[string]string{"readonly": "off"}, names...)
	})
}

// sync writes the pools out, so that "written" counts everything.
func (w *work) sync(ctx context.Context) {
	each(ctx, sorted(byPool(namesOf(w.holding.mine))), func(ctx context.Context, pool string) {
		if err := w.zfs.SyncPool(ctx, pool); err != nil {
			w.warn("write out pool %s: %v", pool, err)
		}
	})
}

// keepWritten takes a snapshot of what no snapshot holds yet. Replicas get
// none, nor does what was given up before and only looks written to: it would be
// in the way of the next stream.
func (w *work) keepWritten(ctx context.Context) error {
	if err := w.weighWritten(ctx); err != nil {
		return err
	}
	written := filter(w.holding.mine, func(d *dataset) bool {
		return d.written > 0 && !d.unborn && (d.given() || !d.replica())
	})
	if len(written) == 0 {
		return nil
	}
	w.result.Written = true
	return w.soft(ctx, "snapshot", len(written), func(ctx context.Context) error {
		w.snapshot(ctx, demotedPrefix, namesOf(written))
		return nil
	})
}

// openVolumes names who has a volume open: that is read-only by now.
func (w *work) openVolumes(ctx context.Context) error {
	for _, d := range filter(w.holding.mine, (*dataset).volume) {
		if by := w.holders(ctx, d); by != "" {
			w.warn("volume %s: it is read-only, but in use by %s", d.name, by)
		}
	}
	return nil
}

// Fence makes the replicated datasets that are writable read-only, so that
// what mounts them at boot can't write to them. They remember how they were;
// nothing is unmounted.
func (d *Data) Fence(ctx context.Context) (Result, error) {
	w := d.work(Unrecorded)
	if err := w.shut(ctx); err != nil {
		return w.result, err
	}
	for _, d := range w.holding.mine {
		if !d.readOnly() && !d.unborn {
			w.fail(d, w.cause(d.name, "it is not read-only"))
		}
	}
	return w.result, nil
}

// shut makes what is writable read-only and looks at it again.
func (w *work) shut(ctx context.Context) error {
	if err := w.takeBack(ctx); err != nil {
		return err
	}
	open := filter(w.holding.mine, func(d *dataset) bool { return !d.unborn && !d.readOnly() })
	if len(open) == 0 {
		return nil
	}
	err := w.soft(ctx, "make read-only", len(open), func(ctx context.Context) error {
		w.spare(ctx, open)
		w.give(ctx, open, false)
		return nil
	})
	if err != nil {
		return err
	}
	return w.list(ctx, "read back")
}

// State tells of all replicated datasets, for status.
func (d *Data) State(ctx context.Context) ([]DatasetState, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Failover.DatasetTimeout)
	defer cancel()
	h, err := d.list(ctx)
	if err != nil {
		return nil, err
	}
	d.weigh(ctx, h.littleWritten(), func(*dataset, string) bool { return true })
	locked := filter(h.mine, func(ds *dataset) bool { return ds.keyNeeded })
	keys, err := d.keyLocations(ctx, h, locked)
	if err != nil {
		d.log.Debug().Err(err).Msg("where keys lie is not known")
	}
	states := make([]DatasetState, 0, len(h.mine))
	for _, ds := range h.mine {
		states = append(states, DatasetState{
			Name: ds.name, Type: string(ds.kind), Mountpoint: ds.path(), Writable: !ds.readOnly(), Mounted: ds.mounted,
			Replica: ds.replica(), Demoted: ds.given() && ds.readOnly(), Partial: ds.partial, Written: ds.written, KeyNeeded: ds.keyNeeded,
			KeyTyped: ds.keyNeeded && keyTyped(keys[ds.keyRoot]),
		})
	}
	for _, name := range h.missing {
		states = append(states, DatasetState{Name: name, Missing: true})
	}
	if len(h.frozen) > 0 {
		return states, fmt.Errorf("look at the datasets: %w", &SuspendedError{Name: h.frozen[0]})
	}
	return states, nil
}
