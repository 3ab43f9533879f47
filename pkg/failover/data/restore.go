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

// restore puts canmount and readonly back, then it reads back, since a call on
// many datasets does not tell of each.
func (w *work) restore(ctx context.Context) error {
	if len(w.marks) > 0 {
		err := w.soft(ctx, "make writable", len(w.marks), func(ctx context.Context) error {
			w.putBack(ctx)
			return nil
		})
		if err != nil {
			return err
		}
		if err := w.list(ctx, "read back"); err != nil {
			return err
		}
	}
	return w.judge(ctx)
}

// putBack brings the datasets to what was before, those with the same values
// together. canmount goes first, so that a dataset that is writable again is
// never one that would not be mounted.
func (w *work) putBack(ctx context.Context) {
	groups := map[mark][]string{}
	for _, name := range sorted(w.marks) {
		m := w.marks[name]
		m.mounted = false
		groups[m] = append(groups[m], name)
	}
	for m, names := range groups {
		w.inBatches(ctx, names, func(ctx context.Context, names ...string) error {
			return errors.Join(w.put(ctx, "canmount", m.canmount, names), w.put(ctx, "readonly", m.readonly, names))
		})
	}
}

func (w *work) put(ctx context.Context, property, value string, names []string) error {
	switch value {
	case "":
		return nil
	case none:
		return w.zfs.Revert(ctx, property, names...)
	}
	return w.zfs.Set(ctx, map[string]string{property: value}, names...)
}

// judge looks at the datasets that are read-only still: some are meant to be,
// some get it from above, and some have failed.
func (w *work) judge(ctx context.Context) error {
	var off []string
	for _, d := range w.holding.mine { // parents first
		if !d.readOnly() || w.bad(d) {
			continue
		}
		was, changed := w.marks[d.name]
		above := w.holding.all[d.readonly.From()]
		switch {
		case d.readonly.Local() == "on" && changed && was.readonly != "on":
			w.fail(d, w.cause(d.name, "it is read-only still"))
		case d.readonly.Local() == "on", d.readonly.Source == "received":
			w.kept[d.name] = true
		case above != nil && w.bad(above):
			w.fail(d, fmt.Errorf("dataset %s: it is read-only still, by %s above it", d.name, above.name))
		case above != nil && slices.Contains(off, above.name):
		case above != nil && w.kept[above.name], !changed:
			w.kept[d.name] = true
		default:
			off = append(off, d.name)
		}
	}
	if err := w.force(ctx, off); err != nil {
		return err
	}
	return w.disown(ctx, sorted(w.kept))
}

// force makes datasets writable that are read-only by one above them that is
// not replicated.
func (w *work) force(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	return w.soft(ctx, "make writable in spite of the parent", len(names), func(ctx context.Context) error {
		w.inBatches(ctx, names, func(ctx context.Context, names ...string) error {
			return w.zfs.Set(ctx, map[string]string{"readonly": "off"}, names...)
		})
		for _, name := range names {
			if len(w.causes[name]) > 0 {
				w.fail(w.holding.all[name], w.cause(name, "it is read-only still, by one above it"))
			}
		}
		return nil
	})
}

// disown sees to it that what its owner wants read-only is not taken for a
// replica any more.
func (w *work) disown(ctx context.Context, names []string) error {
	names = slices.DeleteFunc(names, func(name string) bool {
		stream := w.holding.all[name].stream.Value
		return stream == "" || stream == zfs.NoStream
	})
	if len(names) == 0 {
		return nil
	}
	return w.soft(ctx, "keep read-only", len(names), func(ctx context.Context) error {
		w.inBatches(ctx, names, func(ctx context.Context, names ...string) error {
			return w.zfs.Set(ctx, map[string]string{zfs.StreamProperty: zfs.NoStream}, names...)
		})
		return nil
	})
}
