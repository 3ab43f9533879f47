package data

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// restore restores canmount and readonly and lists the datasets again: the result of
// a call on many datasets does not report each of them.
func (w *work) restore(ctx context.Context) error {
	if len(w.restores) > 0 {
		err := w.bestEffort(ctx, "make writable", len(w.restores), func(ctx context.Context) error {
			w.restoreProperties(ctx)
			return nil
		})
		if err != nil {
			return err
		}
		if err := w.list(ctx, "read back"); err != nil {
			return err
		}
	}
	return w.checkReadOnly(ctx)
}

// restoreProperties sets the saved properties; datasets with the same values share
// calls. canmount goes first, so that a writable dataset is one that gets mounted.
func (w *work) restoreProperties(ctx context.Context) {
	groups := map[saved][]string{}
	for _, name := range sorted(w.restores) {
		m := w.restores[name]
		m.mounted = false
		groups[m] = append(groups[m], name)
	}
	for m, names := range groups {
		w.inBatches(ctx, names, func(ctx context.Context, names ...string) error {
			return errors.Join(w.restoreProperty(ctx, "canmount", m.canmount, names), w.restoreProperty(ctx, "readonly", m.readonly, names))
		})
	}
}

func (w *work) restoreProperty(ctx context.Context, property, value string, names []string) error {
	switch value {
	case "":
		return nil
	case none:
		return w.zfs.Revert(ctx, property, names...)
	}
	return w.zfs.Set(ctx, map[string]string{property: value}, names...)
}

// checkReadOnly sorts the datasets that are still read-only: the operator set it, a
// dataset above hands it down, or making them writable failed.
func (w *work) checkReadOnly(ctx context.Context) error {
	var off []string
	for _, d := range w.inventory.replicated { // parents first
		if !d.readOnly() || w.hasFailed(d) {
			continue
		}
		was, changed := w.restores[d.name]
		above := w.inventory.all[d.readonly.From()]
		switch {
		case d.readonly.Local() == "on" && changed && was.readonly != "on":
			w.fail(d, w.cause(d.name, "still read-only"))
		case d.readonly.Local() == "on", d.readonly.Source == "received":
			w.readOnlyByChoice[d.name] = true
		case above != nil && w.hasFailed(above):
			w.fail(d, fmt.Errorf("dataset %s: still read-only, inherited from %s", d.name, above.name))
		case above != nil && slices.Contains(off, above.name):
		case above != nil && w.readOnlyByChoice[above.name], !changed:
			w.readOnlyByChoice[d.name] = true
		default:
			off = append(off, d.name)
		}
	}
	if err := w.overrideParents(ctx, off); err != nil {
		return err
	}
	return w.keepReadOnly(ctx, sorted(w.readOnlyByChoice))
}

// overrideParents makes datasets writable that inherit readonly from a dataset that
// is not replicated.
func (w *work) overrideParents(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	return w.bestEffort(ctx, "override readonly of the parent", len(names), func(ctx context.Context) error {
		w.inBatches(ctx, names, func(ctx context.Context, names ...string) error {
			return w.zfs.Set(ctx, map[string]string{"readonly": "off"}, names...)
		})
		for _, name := range names {
			if len(w.causes[name]) > 0 {
				w.fail(w.inventory.all[name], w.cause(name, "still read-only, inherited from a dataset above"))
			}
		}
		return nil
	})
}

// keepReadOnly marks datasets that the operator made read-only, so that they no longer
// count as replicas.
func (w *work) keepReadOnly(ctx context.Context, names []string) error {
	names = slices.DeleteFunc(names, func(name string) bool {
		stream := w.inventory.all[name].stream.Value
		return stream == "" || stream == zfs.NoStream
	})
	if len(names) == 0 {
		return nil
	}
	return w.bestEffort(ctx, "keep read-only", len(names), func(ctx context.Context) error {
		w.inBatches(ctx, names, func(ctx context.Context, names ...string) error {
			return w.zfs.Set(ctx, map[string]string{zfs.StreamProperty: zfs.NoStream}, names...)
		})
		return nil
	})
}
