package zfs

import (
	"context"
	"errors"
	"fmt"
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

// Unmount unmounts a filesystem, and with it those below it that are mounted;
// never by force. One that is not mounted is no error; one in use is Busy.
func (z *ZFS) Unmount(ctx context.Context, name string) error {
	_, err := z.output(ctx, "zfs", "unmount", name)
	if errors.Is(err, NotMounted) {
		return nil
	}
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
