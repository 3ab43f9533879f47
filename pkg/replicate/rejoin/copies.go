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

// copyDataset is a dataset below zfs.PreservedName.
type copyDataset struct {
	zfs.Dataset
	of string // the dataset that it preserves; "" for a folder
}

// listCopies lists the preserved copies of the pools, and their folders.
func (n *Node) listCopies(ctx context.Context, pools []string) ([]copyDataset, error) {
	var roots []zfs.Root
	var names []string
	for _, pool := range pools {
		roots = append(roots, zfs.Root{Name: zfs.PreservedRoot(pool), Recursive: true})
		names = append(names, zfs.PreservedRoot(pool))
	}
	listed, err := n.ZFS.DatasetsBare(ctx, roots)
	if err != nil || len(listed) == 0 {
		return nil, err
	}
	properties, err := n.ZFS.Properties(ctx, names, zfs.PreservedProperty)
	if err != nil {
		return nil, err
	}
	copies := make([]copyDataset, 0, len(listed))
	for _, d := range listed {
		copies = append(copies, copyDataset{d, properties[d.Name][zfs.PreservedProperty].Local()})
	}
	return copies, nil
}

// Copy is one preserved copy. Sizes are bytes.
type Copy struct {
	Dataset string    `json:"dataset"`
	Of      string    `json:"of"`
	Type    zfs.Type  `json:"type"`
	At      time.Time `json:"at"`             // when it was preserved
	Base    string    `json:"base,omitempty"` // common snapshot that it continues; "" is a complete history
	Bytes   int64     `json:"bytes"`          // that dropping it frees
	// Readable is the size of its content.
	Readable   int64    `json:"readable"`
	Mountpoint string   `json:"mountpoint,omitempty"`
	Mounted    bool     `json:"mounted,omitempty"`
	KeyNeeded  bool     `json:"key_needed,omitempty"`
	KeyOf      string   `json:"key_of,omitempty"` // the dataset whose key must be loaded
	Snapshots  []Moment `json:"snapshots,omitempty"`
	Below      []string `json:"below,omitempty"` // datasets that are dropped with it
	Files      []string `json:"files,omitempty"`
	NoFiles    string   `json:"no_files,omitempty"`
}

// Copies lists the preserved copies of this node, by name.
func (n *Node) Copies(ctx context.Context) ([]Copy, error) {
	all, err := n.listCopies(ctx, n.pools())
	if err != nil {
		return nil, err
	}
	var copies []Copy
	var snaps []string
	for _, d := range all {
		if d.of == "" {
			continue
		}
		k := Copy{Dataset: d.Name, Of: d.of, Type: d.Type, Base: d.Origin, Bytes: d.Used, Readable: d.Referenced,
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
		copies = append(copies, k)
	}
	made, err := n.ZFS.Created(ctx, snaps)
	if err != nil {
		return nil, err
	}
	for i, k := range copies {
		for j, snap := range k.Snapshots {
			copies[i].Snapshots[j].At = made[k.Dataset+"@"+snap.Name].UTC()
		}
	}
	return copies, nil
}

// pools returns the pools in which this node may hold replicated datasets.
func (n *Node) pools() []string {
	var pools []string
	for _, d := range n.Config.Replication.Datasets {
		pools = append(pools, zfs.PoolOf(d.Name), zfs.PoolOf(d.TargetName()))
	}
	slices.Sort(pools)
	return slices.Compact(pools)
}

// Find returns the preserved copies with a name: that of a copy, of the dataset that
// it preserves, or a date. A date or a dataset may have several.
func (n *Node) Find(ctx context.Context, name string) ([]Copy, error) {
	all, err := n.Copies(ctx)
	if err != nil {
		return nil, err
	}
	var found []Copy
	for _, k := range all {
		if k.Dataset == name || k.Of == name || dateOf(k.Dataset) == name {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return nil, &plan.Usage{What: fmt.Sprintf("no preserved copy is called %s", name), Advice: "list them: zfs-replicate kept list"}
	}
	return found, nil
}

// Drop destroys preserved copies for ever, and folders that are then empty. It
// returns the destroyed copies, also with an error.
func (n *Node) Drop(ctx context.Context, drop []Copy) (gone []string, err error) {
	lock, err := n.State.Lock(session.SenderLock)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	drop = slices.SortedFunc(slices.Values(drop), func(a, b Copy) int { return strings.Compare(a.Dataset, b.Dataset) })
	if err := n.asShown(ctx, drop); err != nil {
		return nil, err
	}
	for _, k := range slices.Backward(drop) { // those below first
		if err := n.dropOne(ctx, k); err != nil {
			return gone, fmt.Errorf("drop %s: %w", k.Dataset, err)
		}
		gone = append(gone, k.Dataset)
	}
	return gone, n.removeFolders(ctx)
}

// asShown refuses to drop copies that have changed since the operator saw them, and
// copies that contain others which the operator has not named.
func (n *Node) asShown(ctx context.Context, drop []Copy) error {
	now, err := n.Copies(ctx)
	if err != nil {
		return err
	}
	for _, k := range drop {
		i := slices.IndexFunc(now, func(other Copy) bool { return other.Dataset == k.Dataset })
		if i < 0 || !slices.Equal(now[i].Snapshots, k.Snapshots) || !slices.Equal(now[i].Below, k.Below) {
			return &plan.Refusal{What: k.Dataset + " has changed since it was shown: nothing was dropped", Advice: "see it again: zfs-replicate kept show " + k.Dataset}
		}
		var others []string
		for _, other := range now {
			isNamed := func(d Copy) bool { return d.Dataset == other.Dataset }
			if other.Dataset != k.Dataset && zfs.Within(other.Dataset, k.Dataset) && !slices.ContainsFunc(drop, isNamed) {
				others = append(others, other.Dataset)
			}
		}
		if len(others) > 0 {
			return &plan.Refusal{What: fmt.Sprintf("%s contains other preserved copies: %s", k.Dataset, strings.Join(others, ", ")),
				Advice: "name these too, or drop all of that date: zfs-replicate kept drop " + dateOf(k.Dataset)}
		}
	}
	return nil
}

// dropOne destroys one copy. A pool's root is a clone of its copy, so the copy's
// snapshots first move back to the root, and are destroyed there. It may be called
// again after it was killed: then the root, a container, has them already.
func (n *Node) dropOne(ctx context.Context, k Copy) error {
	pool := zfs.PoolOf(k.Dataset)
	root, preserved, err := n.rootAndCopy(ctx, k.Dataset)
	if err != nil {
		return err
	}
	last := "" // of the root's snapshots to destroy
	switch {
	case root == nil || preserved == nil:
	case zfs.DatasetOf(root.Origin) == k.Dataset:
		last = zfs.SnapshotOf(root.Origin)
		if err := n.ZFS.PromoteRoot(ctx, pool); err != nil {
			return err
		}
	case root.Container && zfs.DatasetOf(preserved.Origin) == pool:
		last = zfs.SnapshotOf(preserved.Origin)
	}
	if err := n.ZFS.DestroyPreserved(ctx, k.Dataset); err != nil || last == "" {
		return err
	}
	if root, _, err = n.rootAndCopy(ctx, k.Dataset); err != nil || root == nil {
		return err
	}
	end, _ := root.Find(func(s zfs.Snap) bool { return s.Name == last })
	var names []string
	for _, snap := range root.OnlySnapshots() {
		// The base of another copy stays until that copy is dropped.
		if snap.CreateTXG <= end.CreateTXG && snap.Clones == 0 {
			names = append(names, snap.Name)
		}
	}
	return n.ZFS.DestroySnapshots(ctx, pool, names)
}

// rootAndCopy lists a preserved copy and its pool's root.
func (n *Node) rootAndCopy(ctx context.Context, name string) (root, preserved *zfs.Dataset, err error) {
	listed, err := n.ZFS.DatasetsBare(ctx, []zfs.Root{{Name: zfs.PoolOf(name)}, {Name: name}})
	for i := range listed {
		if listed[i].Name == name {
			preserved = &listed[i]
		} else {
			root = &listed[i]
		}
	}
	return root, preserved, err
}

// Remainder is content that is left in a pool's root.
type Remainder struct {
	Pool  string
	Bytes int64
}

// emptyRoot is more than an empty filesystem takes, in bytes.
const emptyRoot = 256 << 10

// Remainders returns the content left in pool roots whose copies were dropped. A root
// can't be destroyed: its content takes space until it is deleted.
func (n *Node) Remainders(ctx context.Context, dropped []Copy) ([]Remainder, error) {
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

// removeFolders removes empty folders, the lowest first.
func (n *Node) removeFolders(ctx context.Context) error {
	all, err := n.listCopies(ctx, n.pools())
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
		holds := slices.ContainsFunc(all, func(other copyDataset) bool { return there[other.Name] && zfs.Parent(other.Name) == d.Name })
		within := slices.ContainsFunc(all, func(other copyDataset) bool {
			return other.of != "" && there[other.Name] && zfs.Within(d.Name, other.Name)
		})
		if holds || within {
			continue
		}
		if err := n.ZFS.RemoveFolder(ctx, d.Name); err != nil {
			return fmt.Errorf("remove the empty %s: %w", d.Name, err)
		}
		there[d.Name] = false
	}
	return nil
}
