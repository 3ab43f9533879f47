package zfs

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Mount mounts a filesystem at its mountpoint. One that is mounted already is
// no error.
func (z *ZFS) Mount(ctx context.Context, name string) error {
	_, err := z.output(ctx, "zfs", "mount", name)
	if errors.Is(err, Mounted) {
		return nil
	}
	return err
}

// Unmount unmounts the filesystem of that name at its path, never by force;
// one in use is Busy. It asks the kernel itself: "zfs unmount" would take along
// all that is called NAME/…, wherever it is mounted. What is mounted below the
// path makes it busy. A call that does not end is left behind when ctx ends.
func (z *ZFS) Unmount(ctx context.Context, name, path string) error {
	ended := make(chan error, 1)
	go func() { ended <- unix.Unmount(path, unix.UMOUNT_NOFOLLOW) }()
	select {
	case err := <-ended:
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EBUSY):
			return &Error{Reason: Busy, Text: fmt.Sprintf("unmount %s at %s: it is in use", name, path), Cause: err}
		}
		return fmt.Errorf("unmount %s at %s: %w", name, path, err)
	case <-ctx.Done():
		return fmt.Errorf("unmount %s at %s: no end of it: %w", name, path, context.Cause(ctx))
	}
}

// Share shares a filesystem as its sharenfs and sharesmb say.
func (z *ZFS) Share(ctx context.Context, name string) error {
	_, err := z.output(ctx, "zfs", "share", name)
	return err
}

// Unshare ends what Share did, without which it can't be unmounted.
func (z *ZFS) Unshare(ctx context.Context, name string) error {
	_, err := z.output(ctx, "zfs", "unshare", name)
	return err
}

// LoadKey loads the key of an encryption root from its keylocation. A key that
// is loaded already is no error; a keylocation of "prompt" fails at once.
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
