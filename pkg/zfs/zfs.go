package zfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/run"
)

// ZFS is the OpenZFS of this machine.
type ZFS struct {
	run     run.Programs
	timeout time.Duration // of every call but streams
	library library
}

// New returns the OpenZFS of the machine on which r starts programs. timeout bounds
// every call but the streams, which their readers and writers bound.
func New(r run.Programs, timeout time.Duration) *ZFS {
	z := &ZFS{run: r, timeout: timeout}
	z.library = newLibrary(z, r)
	return z
}

// maxArgv bounds the arguments of one process, in bytes; Linux allows 2 MiB with the
// environment.
const maxArgv = 256 << 10

// output runs zfs or zpool to its end.
func (z *ZFS) output(ctx context.Context, argv ...string) ([]byte, error) {
	out, err := z.run.Output(ctx, z.timeout, argv...)
	return out, explain(err)
}

// table runs a listing and returns its tab-separated rows. Missing datasets are no
// error.
func (z *ZFS) table(ctx context.Context, argv []string) ([][]string, error) {
	out, err := z.run.Output(ctx, z.timeout, argv...)
	if err != nil && !onlyMissing(err) {
		return nil, explain(err)
	}
	var rows [][]string
	for line := range bytes.Lines(out) {
		if line = bytes.TrimSuffix(line, []byte("\n")); len(line) > 0 {
			rows = append(rows, strings.Split(string(line), "\t"))
		}
	}
	return rows, nil
}

// onlyMissing reports whether each line on stderr is about a missing dataset.
func onlyMissing(err error) bool {
	var e *run.Error
	if !errors.As(err, &e) || e.ExitCode != 1 || e.Stderr == "" {
		return false
	}
	for line := range strings.Lines(e.Stderr) {
		if !strings.Contains(line, "dataset does not exist") && !strings.Contains(line, "no such pool") {
			return false
		}
	}
	return true
}

// Snapshot takes snapshots (full names, all of one pool) atomically, in one
// transaction group.
func (z *ZFS) Snapshot(ctx context.Context, names ...string) error {
	_, err := z.output(ctx, append([]string{"zfs", "snapshot"}, names...)...)
	return err
}

// SnapshotRecursive takes a snapshot of a dataset and all datasets below it, in one
// transaction group.
func (z *ZFS) SnapshotRecursive(ctx context.Context, name string) error {
	_, err := z.output(ctx, "zfs", "snapshot", "-r", name)
	return err
}

// Bookmark creates a bookmark (full name with #) of a snapshot or bookmark.
func (z *ZFS) Bookmark(ctx context.Context, from, bookmark string) error {
	_, err := z.output(ctx, "zfs", "bookmark", from, bookmark)
	return err
}

// DestroySnapshots destroys snapshots (names after @) of one dataset, in as
// few calls as fit an argument list.
func (z *ZFS) DestroySnapshots(ctx context.Context, dataset string, names []string) error {
	var errs []error
	for len(names) > 0 {
		n, size := 0, 0
		for n < len(names) && (n == 0 || size+len(names[n]) < maxArgv/4) {
			size += len(names[n]) + 1
			n++
		}
		_, err := z.output(ctx, "zfs", "destroy", dataset+"@"+strings.Join(names[:n], ","))
		errs = append(errs, err)
		names = names[n:]
	}
	return errors.Join(errs...)
}

// DestroyBookmark destroys one bookmark (full name with #). zfs takes one at
// a time.
func (z *ZFS) DestroyBookmark(ctx context.Context, name string) error {
	if !strings.Contains(name, "#") {
		return fmt.Errorf("destroy bookmark %s: not a bookmark", name)
	}
	_, err := z.output(ctx, "zfs", "destroy", name)
	return err
}

// Held returns which of the snapshots (full names) have a hold.
func (z *ZFS) Held(ctx context.Context, names []string) (map[string]bool, error) {
	held := map[string]bool{}
	for len(names) > 0 {
		n, size := 0, 0
		for n < len(names) && size+len(names[n]) < maxArgv {
			size += len(names[n]) + 1
			n++
		}
		argv := append([]string{"zfs", "get", "-H", "-p", "-o", "name,value", "userrefs"}, names[:n]...)
		rows, err := z.table(ctx, argv)
		if err != nil {
			return nil, fmt.Errorf("list holds: %w", err)
		}
		for _, row := range rows {
			if len(row) == 2 && row[1] != "0" && row[1] != "-" {
				held[row[0]] = true
			}
		}
		names = names[n:]
	}
	return held, nil
}

// WrittenSince returns the bytes written to datasets since a snapshot or bookmark of
// each (dataset → "@snapshot" or "#bookmark"), in one call. Missing datasets and
// snapshots are left out.
func (z *ZFS) WrittenSince(ctx context.Context, since map[string]string) (map[string]int64, error) {
	written := map[string]int64{}
	if len(since) == 0 {
		return written, nil
	}
	properties := map[string]bool{}
	for _, mark := range since {
		properties["written"+mark] = true
	}
	argv := []string{"zfs", "get", "-H", "-p", "-o", "name,property,value", strings.Join(slices.Sorted(maps.Keys(properties)), ",")}
	rows, err := z.table(ctx, append(argv, slices.Sorted(maps.Keys(since))...))
	if err != nil {
		return nil, fmt.Errorf("list bytes written: %w", err)
	}
	for _, row := range rows {
		if len(row) != 3 || row[1] != "written"+since[row[0]] {
			continue
		}
		if n, err := strconv.ParseInt(row[2], 10, 64); err == nil {
			written[row[0]] = n
		}
	}
	return written, nil
}

// LocalProperties returns the properties set on a dataset itself (source local or
// received), without inherited ones.
func (z *ZFS) LocalProperties(ctx context.Context, dataset string) (map[string]string, error) {
	out, err := z.output(ctx, "zfs", "get", "-H", "-p", "-s", "local,received", "-o", "property,value", "all", dataset)
	if err != nil {
		return nil, err
	}
	properties := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok {
			properties[name] = value
		}
	}
	return properties, nil
}

// Rename renames a dataset with all datasets below it. It mounts nothing.
func (z *ZFS) Rename(ctx context.Context, kind Type, from, to string) error {
	argv := []string{"zfs", "rename"}
	if kind == Filesystem {
		argv = append(argv, "-u") // zfs refuses -u for volumes
	}
	_, err := z.output(ctx, append(argv, from, to)...)
	return err
}

// Pool is a pool's size and health. Sizes are bytes.
type Pool struct {
	Name   string
	Health string // ONLINE, DEGRADED, SUSPENDED, …
	Free   uint64
	Size   uint64
}

// SyncPool writes out a pool's open transaction group, so that "written" counts all
// earlier writes.
func (z *ZFS) SyncPool(ctx context.Context, pool string) error {
	_, err := z.output(ctx, "zpool", "sync", pool)
	return err
}

// Version returns the version of OpenZFS's kernel module, such as "2.3.9-1".
func (z *ZFS) Version(ctx context.Context) (string, error) {
	out, err := z.output(ctx, "zfs", "version")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "zfs-kmod-"); ok {
			return version, nil
		}
	}
	return "", fmt.Errorf("parse zfs version: no line zfs-kmod-… in %q", out)
}
