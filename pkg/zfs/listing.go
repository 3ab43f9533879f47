package zfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// DatasetsAtOnce is Datasets with its processes in parallel: it takes as long as the
// longest of them. The listings can differ by a change made between them, so it is
// for display, not for deciding what to send. No root may be listed twice or lie
// within another that is recursive.
func (z *ZFS) DatasetsAtOnce(ctx context.Context, roots []Root) ([]Dataset, error) {
	return listRoots(roots, func(names []string, recursive bool) ([]Dataset, error) {
		var listing sync.WaitGroup
		var snaps *snapshots
		var failed error
		listing.Go(func() { snaps, failed = z.listSnapshots(ctx, "snapshot,bookmark", names, recursive) })
		datasets, err := z.listDatasets(ctx, names, recursive)
		listing.Wait()
		if err := errors.Join(failed, err); err != nil {
			return nil, err
		}
		snaps.addTo(datasets)
		return datasets, nil
	})
}

// Created returns the creation times of datasets, snapshots or bookmarks (full
// names), by the clock of the node that created them. Missing ones are left out.
func (z *ZFS) Created(ctx context.Context, names []string) (map[string]time.Time, error) {
	made := map[string]time.Time{}
	for names := range slices.Chunk(names, 500) {
		rows, err := z.table(ctx, append([]string{"zfs", "get", "-H", "-p", "-o", "name,value", "creation"}, names...))
		if err != nil {
			return nil, fmt.Errorf("list creation times: %w", err)
		}
		for _, row := range rows {
			if len(row) != 2 {
				continue
			}
			if seconds, err := strconv.ParseInt(row[1], 10, 64); err == nil {
				made[row[0]] = time.Unix(seconds, 0)
			}
		}
	}
	return made, nil
}
