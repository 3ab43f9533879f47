package data

import (
	"context"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// discountUnchanged sets the written bytes of datasets without changes since their
// newest snapshot to 0. A boot claims the intent log of a released dataset, and ZFS
// counts that as written. settled reports whether a dataset's intent log holds
// nothing that the dataset lacks. A dataset that can't be compared stays written.
func (d *Data) discountUnchanged(ctx context.Context, datasets []*dataset, settled func(ds *dataset, newest string) bool) {
	if len(datasets) == 0 {
		return
	}
	newest, err := d.zfs.Newest(ctx, namesOf(datasets))
	if err != nil {
		d.log.Debug().Err(err).Msg("cannot list snapshots: all datasets count as written")
		return
	}
	comparable := filter(datasets, func(ds *dataset) bool { return newest[ds.name] != "" && settled(ds, newest[ds.name]) })
	forEach(ctx, comparable, func(ctx context.Context, ds *dataset) {
		changed, err := d.zfs.ChangedSince(ctx, ds.name, ds.name+"@"+newest[ds.name])
		switch {
		case err != nil:
			d.log.Debug().Err(err).Str("dataset", ds.name).Msg("cannot compare with the newest snapshot: counts as written")
		case !changed:
			ds.written = 0
		}
	})
}

// maybeUnchanged returns the released datasets whose written bytes may come from a
// claimed intent log alone.
func (h *inventory) maybeUnchanged() []*dataset {
	return filter(h.replicated, func(ds *dataset) bool {
		return ds.released() && ds.readOnly() && !ds.mounted && !ds.incomplete && ds.written > 0 && ds.written <= zfs.LogReset
	})
}

// discountClaimedLogs runs discountUnchanged before a snapshot. A dataset whose newest
// snapshot is a demotion's was read-only by then, so its intent log is empty. The
// intent log of any other dataset is replayed first.
func (w *work) discountClaimedLogs(ctx context.Context) error {
	datasets := w.inventory.maybeUnchanged()
	if len(datasets) == 0 {
		return nil
	}
	return w.bestEffort(ctx, "check for changes", len(datasets), func(ctx context.Context) error {
		w.discountUnchanged(ctx, datasets, func(ds *dataset, newest string) bool {
			return strings.HasPrefix(newest, demotedPrefix) || ds.volume() || w.replay(ctx, ds)
		})
		return nil
	})
}
