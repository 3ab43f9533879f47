package zfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// KeptName is the dataset below a pool's root that holds what was kept before
// something was rolled back. It is never replicated.
const KeptName = "understudy-kept"

// KeptProperty names, on a kept dataset, the dataset that it was kept of. Only a
// local value counts: what lies below inherits it.
const KeptProperty = "understudy:kept"

// KeptRoot is the dataset that holds what was kept in a pool.
func KeptRoot(pool string) string { return pool + "/" + KeptName }

// IsKept reports whether a dataset lies where tails are kept.
func IsKept(name string) bool { return Within(name, KeptRoot(PoolOf(name))) }

// CreateFolder makes a filesystem that only holds others. An existing filesystem
// already is no error.
func (z *ZFS) CreateFolder(ctx context.Context, name string, set map[string]string) error {
	argv := []string{"zfs", "create", "-o", "canmount=off", "-o", "readonly=on"}
	for _, property := range slices.Sorted(maps.Keys(set)) {
		argv = append(argv, "-o", property+"="+set[property])
	}
	_, err := z.output(ctx, append(argv, name)...)
	if errors.Is(err, Exists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	return nil
}

// Keep says how to take a tail that is kept. A stream that breaks off leaves
// nothing behind.
type Keep struct {
	Dataset string // below KeptRoot
	Type    Type
	Origin  string // snapshot, full name; "" where the dataset is there already
	Of      string // the dataset that it is kept of
}

func (k Keep) argv() []string {
	argv := []string{"zfs", "receive", "-u", "-o", "readonly=on", "-o", KeptProperty + "=" + k.Of}
	if k.Type == Filesystem {
		argv = append(argv, "-o", "canmount=noauto")
	}
	if k.Origin != "" {
		argv = append(argv, "-o", "origin="+k.Origin)
	}
	return append(argv, k.Dataset)
}

// Keep starts to take a stream of this machine's own into a kept dataset.
func (z *ZFS) Keep(ctx context.Context, k Keep) (*Stream, error) {
	if !IsKept(k.Dataset) {
		return nil, fmt.Errorf("keep %s: not below %s", k.Dataset, KeptRoot(PoolOf(k.Dataset)))
	}
	return z.feed(ctx, k.argv())
}

// Rollback brings a dataset back to a snapshot (full name), whatever came after
// it. Newer snapshots that have clones keep it from happening.
func (z *ZFS) Rollback(ctx context.Context, snapshot string) error {
	_, err := z.output(ctx, "zfs", "rollback", "-r", snapshot)
	return err
}

// CloneKept makes a kept dataset that is a clone of a snapshot (full name), and
// gives it the snapshot with all before it: the clone's origin is then the
// clone of the two. It may be called again when it was killed.
func (z *ZFS) CloneKept(ctx context.Context, snapshot, name string) error {
	if !IsKept(name) {
		return fmt.Errorf("keep %s: not below %s", name, KeptRoot(PoolOf(name)))
	}
	of, _, _ := strings.Cut(snapshot, "@")
	_, err := z.output(ctx, "zfs", "clone", "-o", "readonly=on", "-o", "canmount=noauto", "-o", KeptProperty+"="+of, snapshot, name)
	if err != nil && !errors.Is(err, Exists) {
		return err
	}
	_, err = z.output(ctx, "zfs", "promote", name)
	return err
}

// DestroyKept destroys a kept dataset with all below it. It refuses what does
// not lie below KeptRoot.
func (z *ZFS) DestroyKept(ctx context.Context, name string) error {
	if !IsKept(name) || name == KeptRoot(PoolOf(name)) || strings.ContainsAny(name, "@#%") {
		return fmt.Errorf("destroy %s: it is not a kept dataset", name)
	}
	_, err := z.output(ctx, "zfs", "destroy", "-r", name)
	return err
}

// PromoteRoot gives a pool's root back the snapshots that CloneKept took from it.
func (z *ZFS) PromoteRoot(ctx context.Context, pool string) error {
	_, err := z.output(ctx, "zfs", "promote", PoolOf(pool))
	return err
}

// RemoveFolder destroys a filesystem that holds nothing, made by CreateFolder.
// One that holds something is Busy or left alone by zfs itself.
func (z *ZFS) RemoveFolder(ctx context.Context, name string) error {
	if !IsKept(name) {
		return fmt.Errorf("destroy %s: it is not a kept dataset", name)
	}
	_, err := z.output(ctx, "zfs", "destroy", name)
	return err
}

// Change is one line of "zfs diff".
type Change struct {
	Mark string `json:"mark"` // + made, - removed, M changed, R renamed
	Path string `json:"path"`
	To   string `json:"to,omitempty"` // of a renamed one
}

// Diff lists the files that changed in a filesystem since a snapshot (full
// name). OpenZFS asks for the filesystem to be mounted.
func (z *ZFS) Diff(ctx context.Context, snapshot, dataset string) ([]Change, error) {
	rows, err := z.table(ctx, []string{"zfs", "diff", "-H", snapshot, dataset})
	if err != nil {
		return nil, err
	}
	changes := make([]Change, 0, len(rows))
	for _, row := range rows {
		if len(row) < 2 {
			continue
		}
		c := Change{Mark: row[0], Path: row[1]}
		if len(row) > 2 {
			c.To = row[2]
		}
		changes = append(changes, c)
	}
	return changes, nil
}
