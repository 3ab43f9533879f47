package rejoin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// mayRejoin refuses on a node that is, or is about to be, the active one.
func (n *Node) mayRejoin() error {
	role, err := n.State.Role()
	if err != nil {
		return err
	}
	switch {
	case role.Role == state.RoleStandby, role.Role == state.RoleFault, role.Role == state.RoleUnknown && !n.Config.Replication.RequireRole:
		return nil
	case role.Role == state.RoleUnknown:
		return &plan.Refusal{What: fmt.Sprintf("%s has no role yet, and replication.require_role is true", n.Self.Name), Advice: "run: failover-notify join"}
	}
	return &plan.Refusal{What: fmt.Sprintf("%s is %s: only a node that has given its data up can rejoin", n.Self.Name, role.Role),
		Advice: "hand over first: failover-notify switchover, or failover-notify resolve --keep NODE where both were active"}
}

// roleWatch is how often a rejoin looks at this node's role.
const roleWatch = 250 * time.Millisecond

// watchRole ends a rejoin when this node is about to become active.
func (n *Node) watchRole(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(roleWatch)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := n.mayRejoin(); err != nil {
				cancel(err)
				return
			}
		}
	}
}

// mayBeWritable refuses where roles are required and a dataset is writable all
// the same: something may still write to it.
func (n *Node) mayBeWritable(r *Rejoined) error {
	if len(r.writable) == 0 || !n.Config.Replication.RequireRole {
		return nil
	}
	return &plan.Refusal{What: fmt.Sprintf("%s is writable here, though this node is not active", r.writable[0].Name),
		Advice: "give the data up first: failover-notify join"}
}

// touched looks into the datasets of which ZFS counts so little as written that it may
// be nothing, and returns the guids of those that were written to all the same. One
// that can't be looked into, as a volume that somebody reads, counts as one of them:
// then it is kept for nothing, at worst.
func (n *Node) touched(ctx context.Context, here []zfs.Dataset) map[zfs.GUID]bool {
	touched := map[zfs.GUID]bool{}
	for i := range here {
		d := &here[i]
		newest, any := d.Newest()
		if !any || d.Written == 0 || d.Written > zfs.LogReset || !d.ReadOnly || d.Mounted {
			continue
		}
		is, err := n.ZFS.Touched(ctx, d.Name, newest.Full(d.Name))
		touched[d.GUID] = is || err != nil
	}
	return touched
}

// makeReadOnly is for nodes without roles, on which nothing else has done it.
func (n *Node) makeReadOnly(ctx context.Context, r *Rejoined) error {
	if err := n.mayBeWritable(r); err != nil {
		return err
	}
	for _, d := range r.writable {
		set := map[string]string{"readonly": "on"}
		if d.Type == zfs.Filesystem && zfs.Parent(d.Name) != "" {
			set["canmount"] = "noauto"
		}
		if err := n.ZFS.Set(ctx, set, d.Name); err != nil {
			return fmt.Errorf("make %s read-only: %w", d.Name, err)
		}
	}
	return nil
}

// saveUnsaved takes snapshots of what no snapshot holds yet, those of one pool
// at one moment, and drops streams that broke off: they are in the way.
func (n *Node) saveUnsaved(ctx context.Context, r *Rejoined) error {
	pools := map[string][]*Tail{}
	for _, t := range r.Tails {
		pools[zfs.PoolOf(t.Dataset)] = append(pools[zfs.PoolOf(t.Dataset)], t)
	}
	for pool, tails := range pools {
		if err := n.ZFS.SyncPool(ctx, pool); err != nil {
			return fmt.Errorf("write out pool %s: %w", pool, err)
		}
		if err := n.saveTails(ctx, tails); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) saveTails(ctx context.Context, tails []*Tail) error {
	for _, t := range tails {
		if t.dataset.ResumeToken == "" {
			continue
		}
		if err := n.ZFS.AbortReceive(ctx, t.Dataset); err != nil {
			return fmt.Errorf("drop the partial receive of %s: %w", t.Dataset, err)
		}
	}
	listed, err := n.relist(ctx, tails)
	if err != nil {
		return err
	}
	var names []string
	for i, d := range listed {
		if tails[i].How != SetAside && (d.Written > 0 || len(d.OnlySnapshots()) == 0) {
			names = append(names, d.Name)
		}
	}
	if len(names) > 0 {
		name := n.freeTailName(listed)
		for i := range names {
			names[i] += "@" + name
		}
		if err := n.ZFS.Snapshot(ctx, names...); err != nil {
			return fmt.Errorf("take a snapshot of what was written: %w", err)
		}
		if listed, err = n.relist(ctx, tails); err != nil {
			return err
		}
	}
	for i := range tails {
		tails[i].adopt(&listed[i])
	}
	return nil
}

// adopt takes the dataset as it is now.
func (t *Tail) adopt(d *zfs.Dataset) {
	t.dataset, t.newer = d, nil
	for _, snap := range d.OnlySnapshots() {
		if snap.CreateTXG > t.base.CreateTXG {
			t.newer = append(t.newer, snap)
		}
	}
}

// relist lists the tails' datasets anew, in their order.
func (n *Node) relist(ctx context.Context, tails []*Tail) ([]zfs.Dataset, error) {
	var roots []zfs.Root
	for _, t := range tails {
		roots = append(roots, zfs.Root{Name: t.Dataset})
	}
	all, err := n.ZFS.Datasets(ctx, roots)
	if err != nil {
		return nil, err
	}
	listed := make([]zfs.Dataset, 0, len(tails))
	for _, t := range tails {
		i := slices.IndexFunc(all, func(d zfs.Dataset) bool { return d.Name == t.Dataset && d.GUID == t.dataset.GUID })
		if i < 0 {
			return nil, fmt.Errorf("dataset %s is gone", t.Dataset)
		}
		listed = append(listed, all[i])
	}
	return listed, nil
}

// tailPrefix begins the names of snapshots that hold what none held before.
const tailPrefix = "understudy-tail"

func (n *Node) freeTailName(datasets []zfs.Dataset) string {
	for at := n.Now(); ; at = at.Add(time.Second) {
		name := plan.SnapshotName(tailPrefix, at)
		if !slices.ContainsFunc(datasets, func(d zfs.Dataset) bool {
			return slices.ContainsFunc(d.Snapshots, func(s zfs.Snap) bool { return s.Name == name })
		}) {
			return name
		}
	}
}
