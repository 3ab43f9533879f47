package data

import (
	"context"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// weigh sets the written bytes of datasets that were given up to none where nobody
// has written them: the boot after a demotion claims intent log, which ZFS counts as
// written. settled reports whether nothing can lie in a dataset's intent log alone. What
// can't be looked at stays written.
func (d *Data) weigh(ctx context.Context, datasets []*dataset, settled func(ds *dataset, newest string) bool) {
	if len(datasets) == 0 {
		return
	}
	newest, err := d.zfs.Newest(ctx, namesOf(datasets))
	if err != nil {
		d.log.Debug().Err(err).Msg("whether anything was written is not known: no snapshots")
		return
	}
	looked := filter(datasets, func(ds *dataset) bool { return newest[ds.name] != "" && settled(ds, newest[ds.name]) })
	each(ctx, looked, func(ctx context.Context, ds *dataset) {
		touched, err := d.zfs.Touched(ctx, ds.name, ds.name+"@"+newest[ds.name])
		switch {
		case err != nil:
			d.log.Debug().Err(err).Str("dataset", ds.name).Msg("whether anything was written is not known")
		case !touched:
			ds.written = 0
		}
	})
}

// littleWritten are the datasets that were given up and of which ZFS counts no more
// as written than a claimed log is.
func (h *holding) littleWritten() []*dataset {
	return filter(h.mine, func(ds *dataset) bool {
		return ds.given() && ds.readOnly() && !ds.mounted && !ds.unborn && ds.written > 0 && ds.written <= zfs.LogReset
	})
}

// weighWritten weighs before a snapshot. What a demotion has taken a snapshot of was
// read-only by then, so its log holds nothing more; the log of what had nothing to
// take one of is replayed first.
func (w *work) weighWritten(ctx context.Context) error {
	little := w.holding.littleWritten()
	if len(little) == 0 {
		return nil
	}
	return w.soft(ctx, "look for writes", len(little), func(ctx context.Context) error {
		w.weigh(ctx, little, func(ds *dataset, newest string) bool {
			return strings.HasPrefix(newest, demotedPrefix) || ds.volume() || w.replay(ctx, ds)
		})
		return nil
	})
}
