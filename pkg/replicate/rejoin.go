package replicate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// RejoinOptions say how this node is to become a standby again.
type RejoinOptions struct {
	From   string // the active node; "" is the one that says so
	DryRun bool   // look only
	Files  bool   // list the files that differ
	// Confirm is asked once, with what was found, before anything is changed.
	Confirm func(*Rejoined) error
}

// Rejoin makes a node that was active a standby that the active one can send to:
// what is only here is kept in datasets of its own, and only then rolled back to
// the common snapshots. It can be killed at any point and called again. The
// result is returned with the error too, as far as it got.
func (e *Engine) Rejoin(ctx context.Context, o RejoinOptions) (*Rejoined, error) {
	if len(e.Config.Replication.Datasets) == 0 {
		return nil, &Usage{What: "no datasets are replicated", Advice: "list them under replication.datasets in the config"}
	}
	if err := e.mayRejoin(); err != nil {
		return nil, err
	}
	from, err := e.active(ctx, o.From)
	if err != nil {
		return nil, err
	}
	r, err := e.survey(ctx, from)
	if err != nil {
		return nil, err
	}
	r.DryRun = o.DryRun
	if err := e.mayBeWritable(r); err != nil {
		return r, err
	}
	if o.Files {
		e.listFiles(ctx, r)
	}
	if err := e.placeTails(ctx, r); err != nil || o.DryRun || len(r.Tails) == 0 && len(r.writable) == 0 {
		return r, err
	}
	if o.Confirm != nil {
		if err := o.Confirm(r); err != nil {
			return r, err
		}
	}
	return e.rejoinLocked(ctx, from, r)
}

// rejoinLocked does it, alone: neither a run from here, nor a session from
// elsewhere, nor a promotion may be under way.
func (e *Engine) rejoinLocked(ctx context.Context, from *Inventory, asked *Rejoined) (*Rejoined, error) {
	lock, err := e.State.Lock(lockName)
	if err != nil {
		return asked, err
	}
	defer lock.Unlock()
	receiver := &Receiver{Config: e.Config, Node: e.Self.Name, State: e.State}
	session, err := receiver.waitForLock(ctx)
	if err != nil {
		return asked, err
	}
	defer session.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := e.mayRejoin(); err != nil {
		return asked, err
	}
	go e.watchRole(ctx, cancel)

	r, err := e.survey(ctx, from) // what was shown may be old by now
	if err != nil {
		return asked, err
	}
	err = e.rejoin(ctx, r)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r, err
}

// rejoin keeps everything before it rolls anything back.
func (e *Engine) rejoin(ctx context.Context, r *Rejoined) error {
	if err := e.makeReadOnly(ctx, r); err != nil {
		return err
	}
	if err := e.saveUnsaved(ctx, r); err != nil {
		return err
	}
	if err := e.notHeld(ctx, r); err != nil {
		return err
	}
	if err := e.placeTails(ctx, r); err != nil {
		return err
	}
	for _, t := range r.Tails {
		if t.How == KeepTail {
			if err := e.keep(ctx, t); err != nil {
				return fmt.Errorf("keep what is only here of %s (nothing has been rolled back): %w", t.Dataset, err)
			}
		}
	}
	for _, t := range r.Tails {
		if err := e.giveUp(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.Dataset, err)
		}
		t.Done = true
		e.Log.Info().Str("dataset", t.Dataset).Str("kept", t.Kept).Msg("what was only here is kept")
	}
	return nil
}

// notHeld refuses where somebody holds a snapshot that a rollback would destroy.
func (e *Engine) notHeld(ctx context.Context, r *Rejoined) error {
	var names []string
	for _, t := range r.Tails {
		for _, snap := range t.newer {
			if t.How == KeepTail {
				names = append(names, snap.Full(t.Dataset))
			}
		}
	}
	held, err := e.ZFS.Held(ctx, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		if held[name] {
			return &Refusal{What: fmt.Sprintf("%s is held, so %s can't be rolled back; nothing has been", name, datasetOf(name)),
				Advice: fmt.Sprintf("see who holds it: zfs holds %s; then zfs release TAG %s", name, name)}
		}
	}
	return nil
}

// giveUp brings one dataset to where the active node can send to it. By now
// what would be lost by that is in the kept dataset.
func (e *Engine) giveUp(ctx context.Context, t *Tail) error {
	switch t.How {
	case SetAside:
		return e.setAside(ctx, t)
	case GiveRoots:
		return e.giveRoot(ctx, t)
	}
	if err := e.isKept(ctx, t); err != nil {
		return err
	}
	if err := e.ZFS.Rollback(ctx, t.base.Full(t.Dataset)); err != nil {
		return fmt.Errorf("roll back to @%s: %w", t.Common, err)
	}
	return nil
}

// isKept looks once more, right before the rollback, whether the kept dataset
// has all that the rollback takes away.
func (e *Engine) isKept(ctx context.Context, t *Tail) error {
	both, err := e.ZFS.Datasets(ctx, []zfs.Root{{Name: t.Dataset}, {Name: t.Kept}})
	if err != nil {
		return err
	}
	find := func(name string) *zfs.Dataset {
		if i := slices.IndexFunc(both, func(d zfs.Dataset) bool { return d.Name == name }); i >= 0 {
			return &both[i]
		}
		return nil
	}
	here, kept := find(t.Dataset), find(t.Kept)
	if here == nil || kept == nil {
		return errors.New("it, or what was kept of it, is gone: it is not rolled back")
	}
	if here.Written > 0 {
		return &Refusal{What: fmt.Sprintf("%d bytes were written to %s meanwhile: it is not rolled back", here.Written, t.Dataset), Advice: "run rejoin again"}
	}
	for _, snap := range snapshotsOf(here) {
		_, has := findSnapshot(kept, func(c zfs.Snap) bool { return c.GUID == snap.GUID })
		if snap.CreateTXG > t.base.CreateTXG && !has {
			return &Refusal{What: fmt.Sprintf("%s has no @%s: %s is not rolled back", t.Kept, snap.Name, t.Dataset), Advice: "run rejoin again"}
		}
	}
	return nil
}

// mayRejoin refuses on a node that is, or is about to be, the active one.
func (e *Engine) mayRejoin() error {
	role, err := e.State.Role()
	if err != nil {
		return err
	}
	switch {
	case role.Role == state.RoleStandby, role.Role == state.RoleFault, role.Role == state.RoleUnknown && !e.Config.Replication.RequireRole:
		return nil
	case role.Role == state.RoleUnknown:
		return &Refusal{What: fmt.Sprintf("%s has no role yet, and replication.require_role is true", e.Self.Name), Advice: "run: failover-notify join"}
	}
	return &Refusal{What: fmt.Sprintf("%s is %s: only a node that has given its data up can rejoin", e.Self.Name, role.Role),
		Advice: "hand over first: failover-notify switchover, or failover-notify resolve --keep NODE where both were active"}
}

// watchRole ends a rejoin when this node is about to become active.
func (e *Engine) watchRole(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(roleWatch)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := e.mayRejoin(); err != nil {
				cancel(err)
				return
			}
		}
	}
}

// mayBeWritable refuses where roles are required and a dataset is writable all
// the same: something may still write to it.
func (e *Engine) mayBeWritable(r *Rejoined) error {
	if len(r.writable) == 0 || !e.Config.Replication.RequireRole {
		return nil
	}
	return &Refusal{What: fmt.Sprintf("%s is writable here, though this node is not active", r.writable[0].Name),
		Advice: "give the data up first: failover-notify join"}
}

// makeReadOnly is for nodes without roles, on which nothing else has done it.
func (e *Engine) makeReadOnly(ctx context.Context, r *Rejoined) error {
	if err := e.mayBeWritable(r); err != nil {
		return err
	}
	for _, d := range r.writable {
		set := map[string]string{"readonly": "on"}
		if d.Type == zfs.Filesystem && zfs.Parent(d.Name) != "" {
			set["canmount"] = "noauto"
		}
		if err := e.ZFS.Set(ctx, set, d.Name); err != nil {
			return fmt.Errorf("make %s read-only: %w", d.Name, err)
		}
	}
	return nil
}

// saveUnsaved takes snapshots of what no snapshot holds yet, those of one pool
// at one moment, and drops streams that broke off: they are in the way.
func (e *Engine) saveUnsaved(ctx context.Context, r *Rejoined) error {
	pools := map[string][]*Tail{}
	for _, t := range r.Tails {
		pools[zfs.PoolOf(t.Dataset)] = append(pools[zfs.PoolOf(t.Dataset)], t)
	}
	for pool, tails := range pools {
		if err := e.ZFS.SyncPool(ctx, pool); err != nil {
			return fmt.Errorf("write out pool %s: %w", pool, err)
		}
		if err := e.saveTails(ctx, tails); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) saveTails(ctx context.Context, tails []*Tail) error {
	for _, t := range tails {
		if t.dataset.ResumeToken == "" {
			continue
		}
		if err := e.ZFS.AbortReceive(ctx, t.Dataset); err != nil {
			return fmt.Errorf("drop the partial receive of %s: %w", t.Dataset, err)
		}
	}
	listed, err := e.relist(ctx, tails)
	if err != nil {
		return err
	}
	var names []string
	for i, d := range listed {
		if tails[i].How != SetAside && (d.Written > 0 || len(snapshotsOf(&d)) == 0) {
			names = append(names, d.Name)
		}
	}
	if len(names) > 0 {
		name := e.freeTailName(listed)
		for i := range names {
			names[i] += "@" + name
		}
		if err := e.ZFS.Snapshot(ctx, names...); err != nil {
			return fmt.Errorf("take a snapshot of what was written: %w", err)
		}
		if listed, err = e.relist(ctx, tails); err != nil {
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
	for _, snap := range snapshotsOf(d) {
		if snap.CreateTXG > t.base.CreateTXG {
			t.newer = append(t.newer, snap)
		}
	}
}

// relist lists the tails' datasets anew, in their order.
func (e *Engine) relist(ctx context.Context, tails []*Tail) ([]zfs.Dataset, error) {
	var roots []zfs.Root
	for _, t := range tails {
		roots = append(roots, zfs.Root{Name: t.Dataset})
	}
	all, err := e.ZFS.Datasets(ctx, roots)
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

func (e *Engine) freeTailName(datasets []zfs.Dataset) string {
	for at := e.Now(); ; at = at.Add(time.Second) {
		name := snapshotName(tailPrefix, at)
		if !slices.ContainsFunc(datasets, func(d zfs.Dataset) bool {
			return slices.ContainsFunc(d.Snapshots, func(s zfs.Snap) bool { return s.Name == name })
		}) {
			return name
		}
	}
}
