package data

import (
	"context"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Unmark takes the snapshots away that a promotion has taken of states which have
// come to nothing: this node was turned round before it became active, and has
// given its data up again. A dataset that holds nothing beyond the snapshot before
// is again what the other node has sent, and no history of its own. One that holds
// a single byte more keeps all. began is when that promotion did: older ones may be
// all that this node has in common with others by now.
func (d *Data) Unmark(ctx context.Context, step Stepper, began time.Time) (Result, error) {
	w := d.work(step)
	if err := w.takeBack(ctx); err != nil {
		return w.result, err
	}
	clean := filter(w.holding.mine, func(d *dataset) bool { return !d.unborn && d.readOnly() && !d.mounted && d.written == 0 })
	if len(clean) == 0 {
		return w.result, nil
	}
	return w.result, w.soft(ctx, "forget snapshots", len(clean), func(ctx context.Context) error {
		marks, before, err := w.marksOf(ctx, clean, began.UTC().Truncate(time.Second))
		if err != nil || len(marks) == 0 {
			return err
		}
		since, err := w.zfs.WrittenSince(ctx, before)
		if err != nil {
			return err
		}
		for _, name := range sorted(marks) {
			if bytes, known := since[name]; !known || bytes != 0 {
				continue
			}
			if err := w.zfs.DestroySnapshots(ctx, name, marks[name]); err != nil {
				w.warn("%s: %v", name, err)
			}
		}
		return nil
	})
}

// marksOf finds the marks from a moment on that are the newest snapshots of
// datasets, and the snapshot before them, with its @.
func (w *work) marksOf(ctx context.Context, datasets []*dataset, from time.Time) (marks map[string][]string, before map[string]string, err error) {
	roots := make([]zfs.Root, 0, len(datasets))
	for _, d := range datasets {
		roots = append(roots, zfs.Root{Name: d.name})
	}
	listed, err := w.zfs.DatasetsBare(ctx, roots)
	if err != nil {
		return nil, nil, err
	}
	marks, before = map[string][]string{}, map[string]string{}
	for _, d := range listed {
		base := len(d.Snapshots) - 1
		for base >= 0 && marked(d.Snapshots[base].Name, from) {
			base--
		}
		if base < 0 || base == len(d.Snapshots)-1 {
			continue
		}
		before[d.Name] = "@" + d.Snapshots[base].Name
		for _, snap := range d.Snapshots[base+1:] {
			marks[d.Name] = append(marks[d.Name], snap.Name)
		}
	}
	return marks, before, nil
}

// marked reports whether a snapshot is the mark of a promotion from a moment on.
func marked(snapshot string, from time.Time) bool {
	stamp, ours := strings.CutPrefix(snapshot, promotedPrefix)
	at, err := time.Parse(markTime, stamp)
	return ours && err == nil && !at.Before(from)
}
