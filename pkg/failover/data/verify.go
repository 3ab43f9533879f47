package data

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// zfsMagic is the filesystem type that statfs returns for OpenZFS.
const zfsMagic = 0x2fc12fc1

// real reports whether the kernel has ZFS; with the simulator it does not.
func (d *Data) real() bool {
	_, err := os.Stat(d.Kstat)
	return err == nil
}

// verify checks that each mounted filesystem can be written to: its properties show
// neither a full pool nor another mount over its mountpoint. verify writes nothing:
// that would make the replica diverge even if the promotion is cancelled before
// any service has started.
func (w *work) verify(ctx context.Context) error {
	mounted := filter(w.inventory.replicated, func(d *dataset) bool {
		return d.mounted && d.path() != "" && !d.volume() && !w.hasFailed(d) && !w.readOnlyByChoice[d.name]
	})
	if len(mounted) == 0 {
		return nil
	}
	real := w.real()
	return w.bestEffort(ctx, "verify", len(mounted), func(ctx context.Context) error {
		forEach(ctx, mounted, func(ctx context.Context, d *dataset) {
			// The system calls can't be cancelled: one that hangs is left behind.
			done := make(chan error, 1)
			go func() { done <- checkWritable(d.path(), real) }()
			select {
			case err := <-done:
				if err != nil {
					w.fail(d, fmt.Errorf("dataset %s is not writable: %w", d.name, err))
				}
			case <-ctx.Done():
				w.fail(d, fmt.Errorf("dataset %s: the check of its mountpoint hangs: %w", d.name, context.Cause(ctx)))
			}
		})
		return nil
	})
}

// checkWritable checks that a folder can be written to and, if real is set, that it is
// in an OpenZFS filesystem. The pool itself takes writes: each property that was
// set has been written to it.
func checkWritable(folder string, real bool) error {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return fmt.Errorf("stat filesystem at %s: %w", folder, err)
	}
	if real && st.Type != zfsMagic {
		return fmt.Errorf("%s is not a ZFS filesystem", folder)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, folder, unix.W_OK|unix.X_OK, 0); err != nil {
		return fmt.Errorf("write to %s: %w", folder, err)
	}
	if real && st.Bavail == 0 {
		return fmt.Errorf("write to %s: %w", folder, unix.ENOSPC)
	}
	return nil
}
