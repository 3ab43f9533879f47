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

// Options say how this node is to become a standby again.
type Options struct {
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
func (n *Node) Rejoin(ctx context.Context, o Options) (*Rejoined, error) {
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
	if err := n.mayBeWritable(r); err != nil {
		return r, err
	}
	if o.Files {
		n.listFiles(ctx, r)
	}
	if err := n.placeTails(ctx, r); err != nil || o.DryRun || len(r.Tails) == 0 && len(r.writable) == 0 {
		return r, err
	}
	if o.Confirm != nil {
		if err := o.Confirm(r); err != nil {
			return r, err
		}
	}
	return n.rejoinLocked(ctx, from.Node, r)
}

// rejoinLocked does it, alone: neither a run from here, nor a session from
// elsewhere, nor a promotion may be under way.
func (n *Node) rejoinLocked(ctx context.Context, node string, asked *Rejoined) (*Rejoined, error) {
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

	// What was shown may be old by now: what the active node has sent meanwhile would
	// look like something that it lacks.
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

// rejoin keeps everything before it rolls anything back.
func (n *Node) rejoin(ctx context.Context, r *Rejoined) error {
	if err := n.makeReadOnly(ctx, r); err != nil {
		return err
	}
	if err := n.saveUnsaved(ctx, r); err != nil {
		return err
	}
	if err := n.notHeld(ctx, r); err != nil {
		return err
	}
	if err := n.placeTails(ctx, r); err != nil {
		return err
	}
	for _, t := range r.Tails {
		if t.How == KeepTail {
			if err := n.keep(ctx, t); err != nil {
				return fmt.Errorf("keep what is only here of %s (nothing has been rolled back): %w", t.Dataset, err)
			}
		}
	}
	for _, t := range r.Tails {
		if err := n.giveUp(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.Dataset, err)
		}
		t.Done = true
		n.Log.Info().Str("dataset", t.Dataset).Str("kept", t.Kept).Msg("what was only here is kept")
	}
	n.forgetConflicts()
	return nil
}

// forgetConflicts takes out of the record what the active node has told of
// conflicts: they are over.
func (n *Node) forgetConflicts() {
	record, found, err := n.State.Received()
	if err == nil && found && len(record.Conflicts) > 0 {
		record.Conflicts = nil
		err = n.State.Write(state.ReceivedName, record)
	}
	if err != nil {
		// The next run tells anew.
		n.Log.Warn().Err(err).Msg("that the conflicts are over is not recorded")
	}
}

// notHeld refuses where somebody holds a snapshot that a rollback would destroy.
func (n *Node) notHeld(ctx context.Context, r *Rejoined) error {
	var names []string
	for _, t := range r.Tails {
		for _, snap := range t.newer {
			if t.How == KeepTail {
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
			return &plan.Refusal{What: fmt.Sprintf("%s is held, so %s can't be rolled back; nothing has been", name, zfs.DatasetOf(name)),
				Advice: fmt.Sprintf("see who holds it: zfs holds %s; then zfs release TAG %s", name, name)}
		}
	}
	return nil
}

// giveUp brings one dataset to where the active node can send to it. By now
// what would be lost by that is in the kept dataset.
func (n *Node) giveUp(ctx context.Context, t *Tail) error {
	switch t.How {
	case SetAside:
		return n.setAside(ctx, t)
	case GiveRoots:
		return n.giveRoot(ctx, t)
	}
	if err := n.isKept(ctx, t); err != nil {
		return err
	}
	if err := n.ZFS.Rollback(ctx, t.base.Full(t.Dataset)); err != nil {
		return fmt.Errorf("roll back to @%s: %w", t.Common, err)
	}
	return nil
}

// isKept looks once more, right before the rollback, whether the kept dataset
// has all that the rollback takes away.
func (n *Node) isKept(ctx context.Context, t *Tail) error {
	both, err := n.ZFS.Datasets(ctx, []zfs.Root{{Name: t.Dataset}, {Name: t.Kept}})
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
		return &plan.Refusal{What: fmt.Sprintf("%d bytes were written to %s meanwhile: it is not rolled back", here.Written, t.Dataset), Advice: "run rejoin again"}
	}
	for _, snap := range here.OnlySnapshots() {
		_, has := kept.WithGUID(snap.GUID)
		if snap.CreateTXG > t.base.CreateTXG && !has {
			return &plan.Refusal{What: fmt.Sprintf("%s has no @%s: %s is not rolled back", t.Kept, snap.Name, t.Dataset), Advice: "run rejoin again"}
		}
	}
	return nil
}
