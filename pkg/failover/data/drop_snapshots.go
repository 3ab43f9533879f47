package data

import (
	"context"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// DropPromotionSnapshots destroys the snapshots of a promotion that was cancelled: this
// node released its datasets before it became active. A dataset without changes
// since the snapshot before the promotion then equals the received replica again,
// and can be replicated to. A dataset with a single changed byte keeps all its
// snapshots. began is the start of that promotion: older promotion snapshots may be
// the only ones that this node shares with another.
func (d *Data) DropPromotionSnapshots(ctx context.Context, step Stepper, began time.Time) (Result, error) {
	w := d.work(step)
	if err := w.listExisting(ctx); err != nil {
		return w.result, err
	}
	clean := filter(w.inventory.replicated, func(d *dataset) bool { return !d.incomplete && d.readOnly() && !d.mounted && d.written == 0 })
	if len(clean) == 0 {
		return w.result, nil
	}
	return w.result, w.bestEffort(ctx, "drop promotion snapshots", len(clean), func(ctx context.Context) error {
		drop, before, err := w.promotionSnapshots(ctx, clean, began.UTC().Truncate(time.Second))
		if err != nil || len(drop) == 0 {
			return err
		}
		since, err := w.zfs.WrittenSince(ctx, before)
		if err != nil {
			return err
		}
		for _, name := range sorted(drop) {
			if bytes, known := since[name]; !known || bytes != 0 {
				continue
			}
			if err := w.zfs.DestroySnapshots(ctx, name, drop[name]); err != nil {
				w.warn("%s: %v", name, err)
			}
		}
		return nil
	})
}

// promotionSnapshots returns, by dataset, the newest snapshots that a promotion took
// at or after a time, and the snapshot before them, with its @.
func (w *work) promotionSnapshots(ctx context.Context, datasets []*dataset, from time.Time) (found map[string][]string, before map[string]string, err error) {
	roots := make([]zfs.Root, 0, len(datasets))
	for _, d := range datasets {
		roots = append(roots, zfs.Root{Name: d.name})
	}
	listed, err := w.zfs.DatasetsBare(ctx, roots)
	if err != nil {
		return nil, nil, err
	}
	found, before = map[string][]string{}, map[string]string{}
	for _, d := range listed {
		base := len(d.Snapshots) - 1
		for base >= 0 && isPromotionSnapshot(d.Snapshots[base].Name, from) {
			base--
		}
		if base < 0 || base == len(d.Snapshots)-1 {
			continue
		}
		before[d.Name] = "@" + d.Snapshots[base].Name
		for _, snap := range d.Snapshots[base+1:] {
			found[d.Name] = append(found[d.Name], snap.Name)
		}
	}
	return found, before, nil
}

// isPromotionSnapshot reports whether a promotion took a snapshot at or after a time.
func isPromotionSnapshot(snapshot string, from time.Time) bool {
	stamp, ours := strings.CutPrefix(snapshot, promotedPrefix)
	at, err := time.Parse(stampFormat, stamp)
	return ours && err == nil && !at.Before(from)
}
