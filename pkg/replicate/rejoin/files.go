package rejoin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// listFiles adds the files of each dataset that changed since the common snapshot.
// Files that can't be listed do not stop a rejoin.
func (n *Node) listFiles(ctx context.Context, r *Result) {
	for _, t := range r.Changes {
		if t.How != Preserve {
			t.NoFiles = "there is no common snapshot to compare with"
			continue
		}
		var err error
		if t.Files, err = n.changedFiles(ctx, t.dataset, t.base.Full(t.Dataset)); err != nil {
			t.NoFiles = err.Error()
		}
	}
}

// changedFiles returns the files of a read-only filesystem that changed since a
// snapshot, as "zfs diff" marks them. It mounts the filesystem and that of the
// snapshot while it lists: zfs requires both.
func (n *Node) changedFiles(ctx context.Context, d *zfs.Dataset, since string) (files []string, err error) {
	both, err := n.ZFS.DatasetsBare(ctx, []zfs.Root{{Name: d.Name}, {Name: zfs.DatasetOf(since)}})
	if err != nil {
		return nil, err
	}
	for i := range both {
		unmount, err := n.mountToCompare(ctx, &both[i])
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, unmount()) }()
	}
	to := d.Name
	if newest, any := d.Newest(); any && d.Written == 0 {
		to = newest.Full(d.Name) // else zfs takes a snapshot to compare with
	}
	changes, err := n.ZFS.Diff(ctx, since, to)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		text := c.Mark + " " + c.Path
		if c.To != "" {
			text += " → " + c.To
		}
		files = append(files, text)
	}
	return files, nil
}

// mountToCompare mounts a read-only filesystem unless it is mounted, and returns how
// to unmount it again.
func (n *Node) mountToCompare(ctx context.Context, d *zfs.Dataset) (unmount func() error, err error) {
	switch {
	case d.Type != zfs.Filesystem:
		return nil, errors.New("a volume has no files of its own")
	case d.Mounted:
		return func() error { return nil }, nil
	case !d.ReadOnly:
		return nil, fmt.Errorf("%s is unmounted and writable: it is not mounted just to compare it", d.Name)
	case !strings.HasPrefix(d.Mountpoint, "/"):
		return nil, fmt.Errorf("the mountpoint of %s is %s: it can't be mounted to compare it", d.Name, d.Mountpoint)
	case d.KeyStatus == "unavailable":
		return nil, fmt.Errorf("the key of %s is not loaded: zfs load-key %s", d.Name, d.EncryptionRoot)
	}
	if err := n.ZFS.Mount(ctx, d.Name); err != nil {
		return nil, fmt.Errorf("mount %s to compare it: %w", d.Name, err)
	}
	return func() error { return n.ZFS.Unmount(context.WithoutCancel(ctx), d.Name, d.Mountpoint) }, nil
}

// ListFiles adds the files that changed in a preserved copy.
func (n *Node) ListFiles(ctx context.Context, k *Copy) error {
	if k.Base == "" {
		k.NoFiles = "it is a complete history, without a base to compare with"
		return nil
	}
	listed, err := n.ZFS.DatasetsBare(ctx, []zfs.Root{{Name: k.Dataset}})
	if err != nil || len(listed) != 1 {
		return errors.Join(err, fmt.Errorf("list %s: it is gone", k.Dataset))
	}
	if k.Files, err = n.changedFiles(ctx, &listed[0], k.Base); err != nil {
		k.NoFiles = err.Error()
	}
	return nil
}
