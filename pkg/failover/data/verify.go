package data

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// zfsMagic is what statfs says of OpenZFS's filesystems.
const zfsMagic = 0x2fc12fc1

// real reports whether the kernel has ZFS, and not a simulator only.
func (d *Data) real() bool {
	_, err := os.Stat(d.Kstat)
	return err == nil
}

// verify looks at each filesystem that is mounted: what ZFS says of it does not
// tell of a full pool, or of a mountpoint that something else covers. Nothing is
// written for that: it would be a history of this node's own, also on one that is
// turned round before any service has started.
func (w *work) verify(ctx context.Context) error {
	mounted := filter(w.holding.mine, func(d *dataset) bool {
		return d.mounted && d.path() != "" && !d.volume() && !w.bad(d) && !w.kept[d.name]
	})
	if len(mounted) == 0 {
		return nil
	}
	real := w.real()
	return w.soft(ctx, "verify", len(mounted), func(ctx context.Context) error {
		each(ctx, mounted, func(ctx context.Context, d *dataset) {
			// A look can't be cancelled: one that hangs is left behind.
			done := make(chan error, 1)
			go func() { done <- prove(d.path(), real) }()
			select {
			case err := <-done:
				if err != nil {
					w.fail(d, fmt.Errorf("dataset %s can't be written to: %w", d.name, err))
				}
			case <-ctx.Done():
				w.fail(d, fmt.Errorf("dataset %s: no end of a look at it: %w", d.name, context.Cause(ctx)))
			}
		})
		return nil
	})
}

// prove sees that a folder can be written to. real says that it must be in a
// filesystem of OpenZFS's. That the pool takes writes has shown by now: each
// property that was set has been written to it.
func prove(folder string, real bool) error {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return fmt.Errorf("look at %s: %w", folder, err)
	}
	if real && st.Type != zfsMagic {
		return fmt.Errorf("%s is not a filesystem of ZFS", folder)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, folder, unix.W_OK|unix.X_OK, 0); err != nil {
		return fmt.Errorf("write to %s: %w", folder, err)
	}
	if real && st.Bavail == 0 {
		return fmt.Errorf("write to %s: %w", folder, unix.ENOSPC)
	}
	return nil
}
