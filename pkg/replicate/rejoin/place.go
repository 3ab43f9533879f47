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

// keptPlace is where a dataset is kept: below a date, under its own name without
// the pool's.
func keptPlace(dataset, date string) string {
	pool := zfs.PoolOf(dataset)
	rest := strings.TrimPrefix(dataset, pool+"/")
	if dataset == pool {
		rest = plan.RootName
	}
	return zfs.KeptRoot(pool) + "/" + date + "/" + rest
}

// dateOf is the part of a kept dataset's name that keptPlace put there.
func dateOf(kept string) string {
	date, _, _ := strings.Cut(strings.TrimPrefix(kept, zfs.KeptRoot(zfs.PoolOf(kept))+"/"), "/")
	return date
}

// placeTails finds where each tail goes: into what a rejoin that was ended has
// begun, or into new datasets below a date. It sees that there is room.
func (n *Node) placeTails(ctx context.Context, r *Rejoined) error {
	if len(r.Tails) == 0 {
		return nil
	}
	date := ""
	var pools []string
	for _, t := range r.Tails {
		pools = append(pools, zfs.PoolOf(t.Dataset))
	}
	slices.Sort(pools)
	kept, err := n.listKept(ctx, slices.Compact(pools))
	if err != nil {
		return err
	}
	for _, t := range r.Tails {
		if t.partly = begun(t, kept); t.partly != nil && date == "" {
			date = dateOf(t.partly.Name)
		}
	}
	if date == "" {
		date = n.Now().UTC().Format(plan.TimeFormat)
	}
	for _, t := range r.Tails {
		t.Kept = freePlace(t, date, kept, n.Now())
	}
	return n.room(ctx, r)
}

// begun is the kept dataset in which a rejoin that was ended has put this tail,
// in part or as a whole.
func begun(t *Tail, kept []keptDataset) *zfs.Dataset {
	for i := range kept {
		k := &kept[i]
		if k.of != t.Dataset || t.How == SetAside {
			continue
		}
		newest, any := k.Dataset.Newest()
		switch {
		case t.How == KeepTail && any && k.Origin == t.base.Full(t.Dataset) && len(newerThan(t.newer, newest.GUID)) < len(t.newer):
			return &k.Dataset
		case t.How == GiveRoots && len(t.newer) > 0 && k.Origin == t.newer[len(t.newer)-1].Full(t.Dataset):
			return &k.Dataset
		}
	}
	return nil
}

// newerThan are the snapshots after the one with that guid; all when it is none
// of them.
func newerThan(snaps []zfs.Snap, guid zfs.GUID) []zfs.Snap {
	return snaps[1+slices.IndexFunc(snaps, func(s zfs.Snap) bool { return s.GUID == guid }):]
}

// freePlace is a name that nothing has yet.
func freePlace(t *Tail, date string, kept []keptDataset, now time.Time) string {
	if t.partly != nil {
		return t.partly.Name
	}
	for {
		place := keptPlace(t.Dataset, date)
		if !slices.ContainsFunc(kept, func(k keptDataset) bool { return k.Name == place }) {
			return place
		}
		now = now.Add(time.Second)
		date = now.UTC().Format(plan.TimeFormat)
	}
}

// SpaceError is a pool without room for what is to be kept, or for what comes
// anew. Sizes are bytes.
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

// slack is what a pool must have left beside what is counted: one part in 32,
// and this many bytes for each dataset.
const slack = 1 << 20

// room sees that the pools have room for all tails.
func (n *Node) room(ctx context.Context, r *Rejoined) error {
	needed := map[string]int64{}
	for _, t := range r.Tails {
		if t.How == KeepTail {
			size, err := n.keepSize(ctx, t)
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

// keepSize is how many bytes of the tail are still to be copied.
func (n *Node) keepSize(ctx context.Context, t *Tail) (int64, error) {
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
