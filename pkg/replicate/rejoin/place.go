package rejoin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// copyPlace returns the dataset that preserves another one: below a date, under its
// own name without the pool's.
func copyPlace(dataset, date string) string {
	pool := zfs.PoolOf(dataset)
	rest := strings.TrimPrefix(dataset, pool+"/")
	if dataset == pool {
		rest = plan.RootName
	}
	return zfs.PreservedRoot(pool) + "/" + date + "/" + rest
}

// dateOf returns the date that copyPlace has put into a name.
func dateOf(name string) string {
	date, _, _ := strings.Cut(strings.TrimPrefix(name, zfs.PreservedRoot(zfs.PoolOf(name))+"/"), "/")
	return date
}

// place finds the preserved copy of each dataset: the one that an interrupted rejoin
// has begun, or a new one below a date. It verifies that there is room.
func (n *Node) place(ctx context.Context, r *Result) error {
	if len(r.Changes) == 0 {
		return nil
	}
	date := ""
	var pools []string
	for _, t := range r.Changes {
		pools = append(pools, zfs.PoolOf(t.Dataset))
	}
	slices.Sort(pools)
	copies, err := n.listCopies(ctx, slices.Compact(pools))
	if err != nil {
		return err
	}
	for _, t := range r.Changes {
		if t.begun = begunCopy(t, copies); t.begun != nil && date == "" {
			date = dateOf(t.begun.Name)
		}
	}
	if date == "" {
		date = n.Now().UTC().Format(plan.TimeFormat)
	}
	for _, t := range r.Changes {
		t.Copy = freePlace(t, date, copies, n.Now())
	}
	return n.room(ctx, r)
}

// begunCopy returns the preserved copy into which an interrupted rejoin has put these
// changes, in part or as a whole.
func begunCopy(t *Changes, copies []copyDataset) *zfs.Dataset {
	for i := range copies {
		k := &copies[i]
		if k.of != t.Dataset || t.How == SetAside {
			continue
		}
		newest, any := k.Dataset.Newest()
		switch {
		case t.How == Preserve && any && k.Origin == t.base.Full(t.Dataset) && len(newerThan(t.newer, newest.GUID)) < len(t.newer):
			return &k.Dataset
		case t.How == CloneRoot && len(t.newer) > 0 && k.Origin == t.newer[len(t.newer)-1].Full(t.Dataset):
			return &k.Dataset
		}
	}
	return nil
}

// newerThan returns the snapshots after the one with a guid; all of them if none has
// it.
func newerThan(snaps []zfs.Snap, guid zfs.GUID) []zfs.Snap {
	return snaps[1+slices.IndexFunc(snaps, func(s zfs.Snap) bool { return s.GUID == guid }):]
}

// freePlace returns a name that no dataset has yet.
func freePlace(t *Changes, date string, copies []copyDataset, now time.Time) string {
	if t.begun != nil {
		return t.begun.Name
	}
	for {
		place := copyPlace(t.Dataset, date)
		if !slices.ContainsFunc(copies, func(k copyDataset) bool { return k.Name == place }) {
			return place
		}
		now = now.Add(time.Second)
		date = now.UTC().Format(plan.TimeFormat)
	}
}

// SpaceError is a pool without room for the preserved copies, or for the datasets
// that the active node sends again. Sizes are bytes.
type SpaceError struct {
	Pool      string
	Needed    int64
	Available int64
}

func (s *SpaceError) Error() string {
	return fmt.Sprintf("pool %s has no room: about %s are needed, %s are available; nothing has been rolled back",
		s.Pool, report.Bytes(s.Needed), report.Bytes(s.Available))
}

// Hint says how to make room.
func (s *SpaceError) Hint() string {
	return "free space on that pool ('zfs-replicate kept list', 'zfs list -t snapshot -o name,used -s used'), then run rejoin again"
}

// slack is this many bytes for each dataset. A pool must have them free beside the
// estimate and one part in 32 of it.
const slack = 1 << 20

// room verifies that the pools have room for all changes.
func (n *Node) room(ctx context.Context, r *Result) error {
	needed := map[string]int64{}
	for _, t := range r.Changes {
		if t.How == Preserve {
			size, err := n.copySize(ctx, t)
			if err != nil {
				return err
			}
			t.needs = size
		}
		needed[zfs.PoolOf(t.Dataset)] += t.needs + t.needs/32 + slack
	}
	var roots []zfs.Root
	for pool := range needed {
		roots = append(roots, zfs.Root{Name: pool})
	}
	listed, err := n.ZFS.DatasetsBare(ctx, roots)
	if err != nil {
		return err
	}
	for _, pool := range listed {
		if bytes := needed[pool.Name]; bytes > pool.Available {
			return &SpaceError{Pool: pool.Name, Needed: bytes, Available: pool.Available}
		}
	}
	return nil
}

// copySize returns how many bytes are still to be copied.
func (n *Node) copySize(ctx context.Context, t *Changes) (int64, error) {
	if len(t.newer) == 0 || t.Unsaved > 0 && t.dataset.Written > 0 {
		return t.Bytes, nil
	}
	var total int64
	for _, s := range t.sends() {
		size, err := n.ZFS.Estimate(ctx, s)
		if err != nil {
			return 0, fmt.Errorf("estimate the size of %s: %w", s.To, err)
		}
		total += size
	}
	return total, nil
}
