package rejoin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// keptDataset is a dataset below understudy-kept.
type keptDataset struct {
	zfs.Dataset
	of string // the dataset that it was kept of; "" for what only holds others
}

// listKept lists what is kept in the pools.
func (n *Node) listKept(ctx context.Context, pools []string) ([]keptDataset, error) {
	var roots []zfs.Root
	var names []string
	for _, pool := range pools {
		roots = append(roots, zfs.Root{Name: zfs.KeptRoot(pool), Recursive: true})
		names = append(names, zfs.KeptRoot(pool))
	}
	listed, err := n.ZFS.DatasetsBare(ctx, roots)
	if err != nil || len(listed) == 0 {
		return nil, err
	}
	properties, err := n.ZFS.Properties(ctx, names, zfs.KeptProperty)
	if err != nil {
		return nil, err
	}
	kept := make([]keptDataset, 0, len(listed))
	for _, d := range listed {
		kept = append(kept, keptDataset{d, properties[d.Name][zfs.KeptProperty].Local()})
	}
	return kept, nil
}

// Kept is one tail that is kept. Sizes are bytes.
type Kept struct {
	Dataset string    `json:"dataset"`
	Of      string    `json:"of"`
	Type    zfs.Type  `json:"type"`
	At      time.Time `json:"at"`             // when it was kept
	Base    string    `json:"base,omitempty"` // snapshot that it goes on from; "" is a whole history
	Bytes   int64     `json:"bytes"`          // freed by dropping it
	// Readable is how much can be read in it.
	Readable   int64    `json:"readable"`
	Mountpoint string   `json:"mountpoint,omitempty"`
	Mounted    bool     `json:"mounted,omitempty"`
	KeyNeeded  bool     `json:"key_needed,omitempty"`
	KeyOf      string   `json:"key_of,omitempty"` // the dataset whose key is to be loaded
	Snapshots  []Moment `json:"snapshots,omitempty"`
	Below      []string `json:"below,omitempty"` // datasets that go with it
	Files      []string `json:"files,omitempty"`
	NoFiles    string   `json:"no_files,omitempty"`
}

// Kept lists what is kept on this node, by name.
func (n *Node) Kept(ctx context.Context) ([]Kept, error) {
	all, err := n.listKept(ctx, n.pools())
	if err != nil {
		return nil, err
	}
	var kept []Kept
	var snaps []string
	for _, d := range all {
		if d.of == "" {
			continue
		}
		k := Kept{Dataset: d.Name, Of: d.of, Type: d.Type, Base: d.Origin, Bytes: d.Used, Readable: d.Referenced,
			Mounted: d.Mounted, KeyNeeded: d.KeyStatus == "unavailable", KeyOf: d.EncryptionRoot}
		if strings.HasPrefix(d.Mountpoint, "/") {
			k.Mountpoint = d.Mountpoint
		}
		k.At, _ = time.Parse(plan.TimeFormat, dateOf(d.Name))
		for _, snap := range d.Snapshots {
			k.Snapshots = append(k.Snapshots, Moment{Name: snap.Name})
			snaps = append(snaps, snap.Full(d.Name))
		}
		for _, other := range all {
			if other.Name != d.Name && zfs.Within(other.Name, d.Name) {
				k.Below = append(k.Below, other.Name)
			}
		}
		kept = append(kept, k)
	}
	made, err := n.ZFS.Created(ctx, snaps)
	if err != nil {
		return nil, err
	}
	for i, k := range kept {
		for j, snap := range k.Snapshots {
			kept[i].Snapshots[j].At = made[k.Dataset+"@"+snap.Name].UTC()
		}
	}
	return kept, nil
}

// pools are those in which this node may hold replicated datasets.
func (n *Node) pools() []string {
	var pools []string
	for _, d := range n.Config.Replication.Datasets {
		pools = append(pools, zfs.PoolOf(d.Name), zfs.PoolOf(d.TargetName()))
	}
	slices.Sort(pools)
	return slices.Compact(pools)
}

// FindKept returns what is kept under a name: that of a kept dataset, of what
// it was kept of, or a date. All of a date, or of a dataset, may be several.
func (n *Node) FindKept(ctx context.Context, name string) ([]Kept, error) {
	all, err := n.Kept(ctx)
	if err != nil {
		return nil, err
	}
	var found []Kept
	for _, k := range all {
		if k.Dataset == name || k.Of == name || dateOf(k.Dataset) == name {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return nil, &plan.Usage{What: fmt.Sprintf("nothing is kept under the name %s", name), Advice: "zfs-replicate kept list shows what there is"}
	}
	return found, nil
}

// DropKept destroys what is kept, for ever. What only held it goes too. It
// returns what is gone, also when there is an error.
func (n *Node) DropKept(ctx context.Context, drop []Kept) (gone []string, err error) {
	lock, err := n.State.Lock(session.SenderLock)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	drop = slices.SortedFunc(slices.Values(drop), func(a, b Kept) int { return strings.Compare(a.Dataset, b.Dataset) })
	if err := n.asShown(ctx, drop); err != nil {
		return nil, err
	}
	for _, k := range slices.Backward(drop) { // those below first
		if err := n.dropOne(ctx, k); err != nil {
			return gone, fmt.Errorf("drop %s: %w", k.Dataset, err)
		}
		gone = append(gone, k.Dataset)
	}
	return gone, n.tidyKept(ctx)
}

// asShown refuses to drop what has changed since a person was shown it, and what
// would take something along that is kept for itself and was not named.
func (n *Node) asShown(ctx context.Context, drop []Kept) error {
	now, err := n.Kept(ctx)
	if err != nil {
		return err
	}
	for _, k := range drop {
		i := slices.IndexFunc(now, func(other Kept) bool { return other.Dataset == k.Dataset })
		if i < 0 || !slices.Equal(now[i].Snapshots, k.Snapshots) || !slices.Equal(now[i].Below, k.Below) {
			return &plan.Refusal{What: k.Dataset + " has changed since it was looked at: nothing was dropped", Advice: "look again: zfs-replicate kept show " + k.Dataset}
		}
		var others []string
		for _, other := range now {
			isNamed := func(d Kept) bool { return d.Dataset == other.Dataset }
			if other.Dataset != k.Dataset && zfs.Within(other.Dataset, k.Dataset) && !slices.ContainsFunc(drop, isNamed) {
				others = append(others, other.Dataset)
			}
		}
		if len(others) > 0 {
			return &plan.Refusal{What: fmt.Sprintf("%s holds others: %s", k.Dataset, strings.Join(others, ", ")),
				Advice: "name those too, or all of that date: zfs-replicate kept drop " + dateOf(k.Dataset)}
		}
	}
	return nil
}

// dropOne destroys one. The snapshots of a pool's root go back to it first, since
// the root is a clone of them, and are destroyed there. It may be called again when it
// was killed in between: the root, which only holds others, then has them already.
func (n *Node) dropOne(ctx context.Context, k Kept) error {
	pool := zfs.PoolOf(k.Dataset)
	root, kept, err := n.rootAnd(ctx, k.Dataset)
	if err != nil {
		return err
	}
	last := "" // of the root's snapshots that go
	switch {
	case root == nil || kept == nil:
	case zfs.DatasetOf(root.Origin) == k.Dataset:
		last = zfs.SnapshotOf(root.Origin)
		if err := n.ZFS.PromoteRoot(ctx, pool); err != nil {
			return err
		}
	case root.Container && zfs.DatasetOf(kept.Origin) == pool:
		last = zfs.SnapshotOf(kept.Origin)
	}
	if err := n.ZFS.DestroyKept(ctx, k.Dataset); err != nil || last == "" {
		return err
	}
	if root, _, err = n.rootAnd(ctx, k.Dataset); err != nil || root == nil {
		return err
	}
	end, _ := root.Find(func(s zfs.Snap) bool { return s.Name == last })
	var names []string
	for _, snap := range root.OnlySnapshots() {
		// What others go on from stays until they are dropped.
		if snap.CreateTXG <= end.CreateTXG && snap.Clones == 0 {
			names = append(names, snap.Name)
		}
	}
	return n.ZFS.DestroySnapshots(ctx, pool, names)
}

// rootAnd lists a kept dataset, and its pool's root.
func (n *Node) rootAnd(ctx context.Context, name string) (root, kept *zfs.Dataset, err error) {
	listed, err := n.ZFS.DatasetsBare(ctx, []zfs.Root{{Name: zfs.PoolOf(name)}, {Name: name}})
	for i := range listed {
		if listed[i].Name == name {
			kept = &listed[i]
		} else {
			root = &listed[i]
		}
	}
	return root, kept, err
}

// Remainder is what a pool's root still holds of its own.
type Remainder struct {
	Pool  string
	Bytes int64
}

// emptyRoot is more than a filesystem takes that holds nothing, in bytes.
const emptyRoot = 256 << 10

// Remainders tells of the pools whose roots were among what was dropped: a root
// can't be destroyed, so what lay in it stays and takes room until it is deleted.
func (n *Node) Remainders(ctx context.Context, dropped []Kept) ([]Remainder, error) {
	var roots []zfs.Root
	for _, k := range dropped {
		if zfs.Parent(k.Of) == "" {
			roots = append(roots, zfs.Root{Name: k.Of})
		}
	}
	if len(roots) == 0 {
		return nil, nil
	}
	listed, err := n.ZFS.DatasetsBare(ctx, roots)
	if err != nil {
		return nil, err
	}
	var left []Remainder
	for _, d := range listed {
		if d.Container && d.Referenced > emptyRoot {
			left = append(left, Remainder{d.Name, d.Referenced})
		}
	}
	return left, nil
}

// tidyKept removes what holds nothing any more, what is below first.
func (n *Node) tidyKept(ctx context.Context) error {
	all, err := n.listKept(ctx, n.pools())
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, d := range all {
		there[d.Name] = true
	}
	for _, d := range slices.Backward(all) {
		if d.of != "" || d.CanMount != "off" || len(d.Snapshots) > 0 {
			continue
		}
		holds := slices.ContainsFunc(all, func(other keptDataset) bool { return there[other.Name] && zfs.Parent(other.Name) == d.Name })
		within := slices.ContainsFunc(all, func(other keptDataset) bool {
			return other.of != "" && there[other.Name] && zfs.Within(d.Name, other.Name)
		})
		if holds || within {
			continue
		}
		if err := n.ZFS.RemoveFolder(ctx, d.Name); err != nil {
			return fmt.Errorf("remove %s, which holds nothing any more: %w", d.Name, err)
		}
		there[d.Name] = false
	}
	return nil
}
