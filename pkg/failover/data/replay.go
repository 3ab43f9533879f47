package data

import "context"

// Replay has ZFS replay its intent logs after a power loss. Data that programs had
// synced right before the power failed is in the intent log until the filesystem is
// first mounted, even read-only. A snapshot before that lacks the data, and a
// rollback discards it. Replay mounts, read-only and for a moment, the filesystems
// that this node wrote to and that the boot has not mounted. Volumes need nothing:
// their log is replayed when their device appears.
func (d *Data) Replay(ctx context.Context) (Result, error) {
	w := d.work(Unrecorded)
	if err := w.fence(ctx); err != nil {
		return w.result, err
	}
	idle := filter(w.inventory.replicated, func(d *dataset) bool {
		return !d.volume() && !d.incomplete && !d.mounted && !d.replica() && d.readOnly() && d.canmount.Value != "off"
	})
	if len(idle) == 0 {
		return w.result, nil
	}
	return w.result, w.bestEffort(ctx, "replay intent log", len(idle), func(ctx context.Context) error {
		for _, d := range idle { // one at a time: a mountpoint may be below another
			w.replay(ctx, d)
		}
		w.sync(ctx)
		return ctx.Err()
	})
}

// replay replays a filesystem's intent log and reports whether that succeeded.
func (w *work) replay(ctx context.Context, d *dataset) bool {
	const lost = "%s: data synced right before the last shutdown may be in the intent log only, which a rollback discards: %s"
	switch {
	case d.keyNeeded:
		w.warn(lost, d.name, "load the key and mount it once before rejoin: zfs load-key "+d.name+"; zfs mount "+d.name+"; zfs unmount "+d.name)
		return false
	case d.path() == "":
		w.warn(lost, d.name, "mountpoint is "+d.mountpoint+": mount it once before rejoin")
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
