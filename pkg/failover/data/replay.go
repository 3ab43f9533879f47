package data

import "context"

// Replay has ZFS write down what lies in its intent log alone, after a boot that
// was no orderly one. What programs had synced right before the power went is
// there until the filesystem is mounted for the first time, also read-only: a
// snapshot before that lacks it, and a rollback throws it away. Filesystems that
// this node wrote to and that the boot has not mounted are mounted for a moment,
// read-only; volumes need nothing, they are replayed when their device appears.
func (d *Data) Replay(ctx context.Context) (Result, error) {
	w := d.work(Unrecorded)
	if err := w.shut(ctx); err != nil {
		return w.result, err
	}
	idle := filter(w.holding.mine, func(d *dataset) bool {
		return !d.volume() && !d.unborn && !d.mounted && !d.replica() && d.readOnly() && d.canmount.Value != "off"
	})
	if len(idle) == 0 {
		return w.result, nil
	}
	return w.result, w.soft(ctx, "replay intent log", len(idle), func(ctx context.Context) error {
		for _, d := range idle { // one at a time: one may be mounted below another
			w.replay(ctx, d)
		}
		w.sync(ctx)
		return ctx.Err()
	})
}

// replay reports whether nothing lies in a filesystem's intent log alone any more.
func (w *work) replay(ctx context.Context, d *dataset) bool {
	const lost = "%s: what was synced right before the last boot ended may be in its intent log alone, which a rollback throws away: %s"
	switch {
	case d.keyNeeded:
		w.warn(lost, d.name, "load its key and mount it once before it is rejoined: zfs load-key "+d.name+"; zfs mount "+d.name+"; zfs unmount "+d.name)
		return false
	case d.path() == "":
		w.warn(lost, d.name, "its mountpoint is "+d.mountpoint+": mount it once before it is rejoined")
		return false
	}
	err := w.zfs.Mount(ctx, d.name)
	if err == nil {
		err = w.zfs.Unmount(ctx, d.name, d.path())
	}
	if err != nil {
		w.warn(lost, d.name, err.Error())
	}
	return err == nil
}
