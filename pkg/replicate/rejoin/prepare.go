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
	return &plan.Refusal{What: fmt.Sprintf("%s is %s: only a node that has stepped down can rejoin", n.Self.Name, role.Role),
		Advice: "hand over first: failover-notify switchover; after a split brain: failover-notify resolve --keep NODE"}
}

// roleWatch is how often a rejoin looks at this node's role.
const roleWatch = 250 * time.Millisecond

// watchRole ends a rejoin when this node's role no longer allows it.
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

// refuseWritable refuses where roles are required and a dataset is writable anyway:
// a program may still write to it.
func (n *Node) refuseWritable(r *Result) error {
	if len(r.writable) == 0 || !n.Config.Replication.RequireRole {
		return nil
	}
	return &plan.Refusal{What: fmt.Sprintf("%s is writable here, though this node is not active", r.writable[0].Name),
		Advice: "make the datasets read-only first: failover-notify join"}
}

// touched returns the guids of datasets that hold changes though ZFS counts very few
// bytes as written. It compares their content. A dataset whose content can't be
// compared, such as a volume in use, counts as changed: at worst an empty copy is
// preserved.
func (n *Node) touched(ctx context.Context, here []zfs.Dataset) map[zfs.GUID]bool {
	touched := map[zfs.GUID]bool{}
	for i := range here {
		d := &here[i]
		newest, any := d.Newest()
		if !any || d.Written == 0 || d.Written > zfs.LogReset || !d.ReadOnly || d.Mounted {
			continue
		}
		is, err := n.ZFS.ChangedSince(ctx, d.Name, newest.Full(d.Name))
		touched[d.GUID] = is || err != nil
	}
	return touched
}

// makeReadOnly is for nodes without roles, which nothing else makes read-only.
func (n *Node) makeReadOnly(ctx context.Context, r *Result) error {
	if err := n.refuseWritable(r); err != nil {
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

// snapshotUnsaved takes snapshots of changes that are in none yet: those of one pool
// at the same moment. It drops partial receives, which prevent a snapshot.
func (n *Node) snapshotUnsaved(ctx context.Context, r *Result) error {
	pools := map[string][]*Changes{}
	for _, t := range r.Changes {
		pools[zfs.PoolOf(t.Dataset)] = append(pools[zfs.PoolOf(t.Dataset)], t)
	}
	for pool, changes := range pools {
		if err := n.ZFS.SyncPool(ctx, pool); err != nil {
			return fmt.Errorf("write out pool %s: %w", pool, err)
		}
		if err := n.snapshotChanges(ctx, changes); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) snapshotChanges(ctx context.Context, changes []*Changes) error {
	for _, t := range changes {
		if t.dataset.ResumeToken == "" {
			continue
		}
		if err := n.ZFS.AbortReceive(ctx, t.Dataset); err != nil {
			return fmt.Errorf("drop the partial receive of %s: %w", t.Dataset, err)
		}
	}
	listed, err := n.relist(ctx, changes)
	if err != nil {
		return err
	}
	var names []string
	for i, d := range listed {
		if changes[i].How != SetAside && (d.Written > 0 || len(d.OnlySnapshots()) == 0) {
			names = append(names, d.Name)
		}
	}
	if len(names) > 0 {
		name := n.freeSnapshotName(listed)
		for i := range names {
			names[i] += "@" + name
		}
		if err := n.ZFS.Snapshot(ctx, names...); err != nil {
			return fmt.Errorf("take a snapshot of the unreplicated changes: %w", err)
		}
		if listed, err = n.relist(ctx, changes); err != nil {
			return err
		}
	}
	for i := range changes {
		changes[i].adopt(&listed[i])
	}
	return nil
}

// adopt takes over the dataset's present state.
func (t *Changes) adopt(d *zfs.Dataset) {
	t.dataset, t.newer = d, nil
	for _, snap := range d.OnlySnapshots() {
		if snap.CreateTXG > t.base.CreateTXG {
			t.newer = append(t.newer, snap)
		}
	}
}

// relist lists the datasets again, in their order.
func (n *Node) relist(ctx context.Context, changes []*Changes) ([]zfs.Dataset, error) {
	var roots []zfs.Root
	for _, t := range changes {
		roots = append(roots, zfs.Root{Name: t.Dataset})
	}
	all, err := n.ZFS.Datasets(ctx, roots)
	if err != nil {
		return nil, err
	}
	listed := make([]zfs.Dataset, 0, len(changes))
	for _, t := range changes {
		i := slices.IndexFunc(all, func(d zfs.Dataset) bool { return d.Name == t.Dataset && d.GUID == t.dataset.GUID })
		if i < 0 {
			return nil, fmt.Errorf("dataset %s is gone", t.Dataset)
		}
		listed = append(listed, all[i])
	}
	return listed, nil
}

// snapshotPrefix begins the names of the snapshots of changes that were in none. It is
// the name of earlier releases.
const snapshotPrefix = "understudy-tail"

func (n *Node) freeSnapshotName(datasets []zfs.Dataset) string {
	for at := n.Now(); ; at = at.Add(time.Second) {
		name := plan.SnapshotName(snapshotPrefix, at)
		if !slices.ContainsFunc(datasets, func(d zfs.Dataset) bool {
			return slices.ContainsFunc(d.Snapshots, func(s zfs.Snap) bool { return s.Name == name })
		}) {
			return name
		}
	}
}
