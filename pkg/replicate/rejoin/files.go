package rejoin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// listFiles adds the files of each tail that changed since the common snapshot.
// That they can't be listed stops nothing.
func (n *Node) listFiles(ctx context.Context, r *Rejoined) {
	for _, t := range r.Tails {
		if t.How != KeepTail {
			t.NoFiles = "there is no common snapshot to compare with"
			continue
		}
		var err error
		if t.Files, err = n.changedFiles(ctx, t.dataset, t.base.Full(t.Dataset)); err != nil {
			t.NoFiles = err.Error()
		}
	}
}

// changedFiles are the files of a read-only filesystem that changed since a
// snapshot, as "zfs diff" marks them. It is mounted while they are listed, and so
// is what the snapshot is of: zfs asks for that.
func (n *Node) changedFiles(ctx context.Context, d *zfs.Dataset, since string) (files []string, err error) {
	both, err := n.ZFS.DatasetsBare(ctx, []zfs.Root{{Name: d.Name}, {Name: zfs.DatasetOf(since)}})
	if err != nil {
		return nil, err
	}
	for i := range both {
		unmount, err := n.mountToLook(ctx, &both[i])
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

// mountToLook mounts a read-only filesystem, if it is not, and returns how to
// unmount it again.
func (n *Node) mountToLook(ctx context.Context, d *zfs.Dataset) (unmount func() error, err error) {
	switch {
	case d.Type != zfs.Filesystem:
		return nil, errors.New("a volume has no files of its own")
	case d.Mounted:
		return func() error { return nil }, nil
	case !d.ReadOnly:
		return nil, fmt.Errorf("%s is not mounted, and writable: it is not mounted only to look", d.Name)
	case !strings.HasPrefix(d.Mountpoint, "/"):
		return nil, fmt.Errorf("the mountpoint of %s is %s, and it has to be mounted to be compared", d.Name, d.Mountpoint)
	case d.KeyStatus == "unavailable":
		return nil, fmt.Errorf("the key of %s is not loaded: zfs load-key %s", d.Name, d.EncryptionRoot)
	}
	if err := n.ZFS.Mount(ctx, d.Name); err != nil {
		return nil, fmt.Errorf("mount %s to compare it: %w", d.Name, err)
	}
	return func() error { return n.ZFS.Unmount(context.WithoutCancel(ctx), d.Name, d.Mountpoint) }, nil
}

// ListKeptFiles adds the files that a kept tail changed.
func (n *Node) ListKeptFiles(ctx context.Context, k *Kept) error {
	if k.Base == "" {
		k.NoFiles = "it is a whole history: there is nothing to compare with"
		return nil
	}
	listed, err := n.ZFS.DatasetsBare(ctx, []zfs.Root{{Name: k.Dataset}})
	if err != nil || len(listed) != 1 {
		return errors.Join(err, fmt.Errorf("look at %s: it is gone", k.Dataset))
	}
	if k.Files, err = n.changedFiles(ctx, &listed[0], k.Base); err != nil {
		k.NoFiles = err.Error()
	}
	return nil
}
