package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// proofName is a file that is made and removed again.
const proofName = ".understudy-writable"

// zfsMagic is what statfs says of OpenZFS's filesystems.
const zfsMagic = 0x2fc12fc1

// real says whether the kernel has ZFS, and not a simulator only.
func (d *Data) real() bool {
	_, err := os.Stat(d.Kstat)
	return err == nil
}

// verify writes to each filesystem that is mounted: what ZFS says of it does
// not tell of a full pool, or of a mountpoint that something else covers.
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
			// A write can't be cancelled: one that hangs is left behind.
			done := make(chan error, 1)
			go func() { done <- prove(d.path(), real) }()
			select {
			case err := <-done:
				if err != nil {
					w.fail(d, fmt.Errorf("dataset %s can't be written to: %w", d.name, err))
				}
			case <-ctx.Done():
				w.fail(d, fmt.Errorf("dataset %s: no end of a write to it: %w", d.name, context.Cause(ctx)))
			}
		})
		return nil
	})
}

// prove makes a file in a folder, brings it to the disk and removes it. real
// says that the folder must be in a filesystem of OpenZFS's.
func prove(folder string, real bool) error {
	if real {
		var st unix.Statfs_t
		if err := unix.Statfs(folder, &st); err != nil {
			return fmt.Errorf("look at %s: %w", folder, err)
		}
		if st.Type != zfsMagic {
			return fmt.Errorf("%s is not a filesystem of ZFS", folder)
		}
	}
	path := filepath.Join(folder, proofName)
	// One that a killed promotion left behind.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString("understudy tries whether this can be written to\n")
	err = errors.Join(err, file.Sync(), file.Close())
	return errors.Join(err, os.Remove(path))
}
