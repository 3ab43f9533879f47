package rejoin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Options say how this node becomes a standby again.
type Options struct {
	From   string // the active node; "" is the one that reports itself active
	DryRun bool   // change nothing
	Files  bool   // list the files that differ
	// Confirm is called once, with the changes found, before anything is changed.
	Confirm func(*Result) error
}

// Rejoin turns a former active node back into a standby that the active node can send
// to. It preserves unreplicated changes in datasets of their own before it rolls
// anything back to the common snapshots. It can be killed at any point and called
// again. The result is returned with the error too, as far as it got.
func (n *Node) Rejoin(ctx context.Context, o Options) (*Result, error) {
	if len(n.Config.Replication.Datasets) == 0 {
		return nil, &plan.Usage{What: "no datasets are replicated", Advice: "list them under replication.datasets in the config"}
	}
	if err := n.mayRejoin(); err != nil {
		return nil, err
	}
	from, err := n.active(ctx, o.From)
	if err != nil {
		return nil, err
	}
	r, err := n.survey(ctx, from)
	if err != nil {
		return nil, err
	}
	r.DryRun = o.DryRun
	if err := n.refuseWritable(r); err != nil {
		return r, err
	}
	if o.Files {
		n.listFiles(ctx, r)
	}
	if err := n.place(ctx, r); err != nil || o.DryRun || len(r.Changes) == 0 && len(r.writable) == 0 {
		return r, err
	}
	if o.Confirm != nil {
		if err := o.Confirm(r); err != nil {
			return r, err
		}
	}
	return n.rejoinLocked(ctx, from.Node, r)
}

// rejoinLocked does the work while no run from this node, no session from another one
// and no promotion is in progress.
func (n *Node) rejoinLocked(ctx context.Context, node string, asked *Result) (*Result, error) {
	lock, err := n.State.Lock(session.SenderLock)
	if err != nil {
		return asked, err
	}
	defer lock.Unlock()
	receiving, err := session.WaitForLock(ctx, n.State, n.Self.Name, n.Config.Replication.Timeouts.Stall)
	if err != nil {
		return asked, err
	}
	defer receiving.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := n.mayRejoin(); err != nil {
		return asked, err
	}
	go n.watchRole(ctx, cancel)

	// The changes shown may be out of date: a snapshot that the active node has sent
	// since would look like one that it lacks.
	from, err := n.active(ctx, node)
	if err != nil {
		return asked, err
	}
	r, err := n.survey(ctx, from)
	if err != nil {
		return asked, err
	}
	err = n.rejoin(ctx, r)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r, err
}

// rejoin preserves everything before it rolls anything back.
func (n *Node) rejoin(ctx context.Context, r *Result) error {
	if err := n.makeReadOnly(ctx, r); err != nil {
		return err
	}
	if err := n.snapshotUnsaved(ctx, r); err != nil {
		return err
	}
	if err := n.notHeld(ctx, r); err != nil {
		return err
	}
	if err := n.place(ctx, r); err != nil {
		return err
	}
	for _, t := range r.Changes {
		if t.How == Preserve {
			if err := n.preserve(ctx, t); err != nil {
				return fmt.Errorf("preserve the unreplicated changes of %s (nothing has been rolled back): %w", t.Dataset, err)
			}
		}
	}
	for _, t := range r.Changes {
		if err := n.align(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.Dataset, err)
		}
		t.Done = true
		n.Log.Info().Str("dataset", t.Dataset).Str("copy", t.Copy).Msg("unreplicated changes preserved")
	}
	n.forgetConflicts()
	return nil
}

// forgetConflicts removes the conflicts that the active node has reported from the
// record: they are resolved.
func (n *Node) forgetConflicts() {
	record, found, err := n.State.Received()
	if err == nil && found && len(record.Conflicts) > 0 {
		record.Conflicts = nil
		err = n.State.Write(state.ReceivedName, record)
	}
	if err != nil {
		// The active node's next run reports them again, or none.
		n.Log.Warn().Err(err).Msg("resolved conflicts stay in the record")
	}
}

// notHeld refuses if a snapshot has a hold that a rollback would destroy.
func (n *Node) notHeld(ctx context.Context, r *Result) error {
	var names []string
	for _, t := range r.Changes {
		for _, snap := range t.newer {
			if t.How == Preserve {
				names = append(names, snap.Full(t.Dataset))
			}
		}
	}
	held, err := n.ZFS.Held(ctx, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		if held[name] {
			return &plan.Refusal{What: fmt.Sprintf("%s has a hold, so %s can't be rolled back; nothing has been rolled back", name, zfs.DatasetOf(name)),
				Advice: fmt.Sprintf("see its tag: zfs holds %s; then run: zfs release TAG %s", name, name)}
		}
	}
	return nil
}

// align brings one dataset to a state that the active node can send to. By now its
// unreplicated changes are preserved.
func (n *Node) align(ctx context.Context, t *Changes) error {
	switch t.How {
	case SetAside:
		return n.setAside(ctx, t)
	case CloneRoot:
		return n.cloneRoot(ctx, t)
	}
	if err := n.verifyCopy(ctx, t); err != nil {
		return err
	}
	if err := n.ZFS.Rollback(ctx, t.base.Full(t.Dataset)); err != nil {
		return fmt.Errorf("roll back to @%s: %w", t.Common, err)
	}
	return nil
}

// verifyCopy verifies right before the rollback that the preserved copy has every
// snapshot that the rollback destroys.
func (n *Node) verifyCopy(ctx context.Context, t *Changes) error {
	both, err := n.ZFS.Datasets(ctx, []zfs.Root{{Name: t.Dataset}, {Name: t.Copy}})
	if err != nil {
		return err
	}
	find := func(name string) *zfs.Dataset {
		if i := slices.IndexFunc(both, func(d zfs.Dataset) bool { return d.Name == name }); i >= 0 {
			return &both[i]
		}
		return nil
	}
	here, preserved := find(t.Dataset), find(t.Copy)
	if here == nil || preserved == nil {
		return errors.New("the dataset or its preserved copy is gone: it is not rolled back")
	}
	if here.Written > 0 {
		return &plan.Refusal{What: fmt.Sprintf("%d bytes were written to %s meanwhile: it is not rolled back", here.Written, t.Dataset), Advice: "run rejoin again"}
	}
	for _, snap := range here.OnlySnapshots() {
		_, has := preserved.WithGUID(snap.GUID)
		if snap.CreateTXG > t.base.CreateTXG && !has {
			return &plan.Refusal{What: fmt.Sprintf("%s has no @%s: %s is not rolled back", t.Copy, snap.Name, t.Dataset), Advice: "run rejoin again"}
		}
	}
	return nil
}
