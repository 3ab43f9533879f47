package zfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// PreservedName is the dataset below a pool's root that holds the preserved copies:
// unreplicated changes from before a rollback. It is never replicated.
const PreservedName = "understudy-kept"

// PreservedProperty names, on a preserved copy, the dataset of which it is a copy.
// Only a local value counts: datasets below inherit it.
const PreservedProperty = "understudy:kept"

// PreservedRoot returns the dataset that holds a pool's preserved copies.
func PreservedRoot(pool string) string { return pool + "/" + PreservedName }

// IsPreserved reports whether a dataset is PreservedRoot of its pool or lies below it.
func IsPreserved(name string) bool { return Within(name, PreservedRoot(PoolOf(name))) }

// CreateFolder creates a filesystem that only holds others. An existing one is no
// error.
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

// Preserve describes the receive of a preserved copy. An interrupted stream leaves
// nothing behind.
type Preserve struct {
	Dataset string // below PreservedRoot
	Type    Type
	Origin  string // snapshot, full name; "" if the dataset exists
	Of      string // the dataset that is copied
}

func (p Preserve) argv() []string {
	argv := []string{"zfs", "receive", "-u", "-o", "readonly=on", "-o", PreservedProperty + "=" + p.Of}
	if p.Type == Filesystem {
		argv = append(argv, "-o", "canmount=noauto")
	}
	if p.Origin != "" {
		argv = append(argv, "-o", "origin="+p.Origin)
	}
	return append(argv, p.Dataset)
}

// Preserve starts to receive a stream of this machine's own into a preserved copy.
func (z *ZFS) Preserve(ctx context.Context, p Preserve) (*Stream, error) {
	if !IsPreserved(p.Dataset) {
		return nil, fmt.Errorf("preserve %s: not below %s", p.Dataset, PreservedRoot(PoolOf(p.Dataset)))
	}
	return z.feed(ctx, p.argv())
}

// Rollback rolls a dataset back to a snapshot (full name) and destroys all newer
// snapshots. It fails if one of them has a clone.
func (z *ZFS) Rollback(ctx context.Context, snapshot string) error {
	_, err := z.output(ctx, "zfs", "rollback", "-r", snapshot)
	return err
}

// ClonePreserved makes a preserved copy that is a clone of a snapshot (full name), and
// promotes it: the snapshot and all older ones then belong to the copy, and the
// origin becomes the clone. It can be called again after it was killed.
func (z *ZFS) ClonePreserved(ctx context.Context, snapshot, name string) error {
	if !IsPreserved(name) {
		return fmt.Errorf("preserve %s: not below %s", name, PreservedRoot(PoolOf(name)))
	}
	of, _, _ := strings.Cut(snapshot, "@")
	_, err := z.output(ctx, "zfs", "clone", "-o", "readonly=on", "-o", "canmount=noauto", "-o", PreservedProperty+"="+of, snapshot, name)
	if err != nil && !errors.Is(err, Exists) {
		return err
	}
	_, err = z.output(ctx, "zfs", "promote", name)
	return err
}

// DestroyPreserved destroys a preserved copy with all datasets below it. It refuses
// datasets that do not lie below PreservedRoot.
func (z *ZFS) DestroyPreserved(ctx context.Context, name string) error {
	if !IsPreserved(name) || name == PreservedRoot(PoolOf(name)) || strings.ContainsAny(name, "@#%") {
		return fmt.Errorf("destroy %s: not a preserved copy", name)
	}
	_, err := z.output(ctx, "zfs", "destroy", "-r", name)
	return err
}

// PromoteRoot returns the snapshots that ClonePreserved moved to a copy to the pool's
// root.
func (z *ZFS) PromoteRoot(ctx context.Context, pool string) error {
	_, err := z.output(ctx, "zfs", "promote", PoolOf(pool))
	return err
}

// RemoveFolder destroys an empty filesystem that CreateFolder made. zfs itself refuses
// one that holds anything.
func (z *ZFS) RemoveFolder(ctx context.Context, name string) error {
	if !IsPreserved(name) {
		return fmt.Errorf("destroy %s: not a preserved copy", name)
	}
	_, err := z.output(ctx, "zfs", "destroy", name)
	return err
}

// Change is one line of "zfs diff".
type Change struct {
	Mark string `json:"mark"` // + created, - removed, M modified, R renamed
	Path string `json:"path"`
	To   string `json:"to,omitempty"` // the new path of a renamed file
}

// Diff lists the files that changed in a filesystem since a snapshot (full name).
// OpenZFS requires the filesystem to be mounted.
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
