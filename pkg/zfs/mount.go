package zfs

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Mount mounts a filesystem at its mountpoint. One that is already mounted is no
// error.
func (z *ZFS) Mount(ctx context.Context, name string) error {
	_, err := z.output(ctx, "zfs", "mount", name)
	if errors.Is(err, Mounted) {
		return nil
	}
	return err
}

// Unmount unmounts the filesystem of that name at its path, never by force. It
// returns Busy if the filesystem is in use or another one is mounted below the
// path. It calls the kernel itself: "zfs unmount" would also unmount all datasets
// named NAME/…, wherever they are mounted. When ctx ends it abandons a call that
// hangs.
func (z *ZFS) Unmount(ctx context.Context, name, path string) error {
	ended := make(chan error, 1)
	go func() { ended <- unix.Unmount(path, unix.UMOUNT_NOFOLLOW) }()
	select {
	case err := <-ended:
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EBUSY):
			return &Error{Reason: Busy, Text: fmt.Sprintf("unmount %s at %s: in use", name, path), Cause: err}
		}
		return fmt.Errorf("unmount %s at %s: %w", name, path, err)
	case <-ctx.Done():
		return fmt.Errorf("unmount %s at %s: the call hangs: %w", name, path, context.Cause(ctx))
	}
}

// Share shares a filesystem as configured by sharenfs and sharesmb.
func (z *ZFS) Share(ctx context.Context, name string) error {
	_, err := z.output(ctx, "zfs", "share", name)
	return err
}

// Unshare ends Share; a shared filesystem can't be unmounted.
func (z *ZFS) Unshare(ctx context.Context, name string) error {
	_, err := z.output(ctx, "zfs", "unshare", name)
	return err
}

// LoadKey loads the key of an encryption root from its keylocation. A key that is
// already loaded is no error; a keylocation of "prompt" fails at once.
func (z *ZFS) LoadKey(ctx context.Context, root string) error {
	_, err := z.output(ctx, "zfs", "load-key", root)
	if errors.Is(err, KeyLoaded) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load the key of %s: %w", root, err)
	}
	return nil
}
