package rejoin

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// sends are the streams that bring what is missing into the kept dataset: first
// a single increment, which makes the clone, then the rest.
func (t *Tail) sends() []zfs.Send {
	base, left := t.base, t.newer
	var sends []zfs.Send
	add := func(to zfs.Snap, all bool) {
		sends = append(sends, zfs.Send{From: base.Full(t.Dataset), To: to.Full(t.Dataset), All: all, Flags: plan.DefaultFlags, Raw: t.dataset.Encrypted, Bare: true})
		base = to
	}
	if t.partly == nil {
		add(left[0], false)
		left = left[1:]
	} else if newest, any := t.partly.Newest(); any {
		left = newerThan(left, newest.GUID)
		base = newest
	}
	if len(left) > 0 {
		add(left[len(left)-1], true)
	}
	return sends
}

// keep copies a tail into its kept dataset, as far as it is not there.
func (n *Node) keep(ctx context.Context, t *Tail) error {
	if err := n.folders(ctx, t.Kept); err != nil {
		return err
	}
	for _, send := range t.sends() {
		k := zfs.Keep{Dataset: t.Kept, Type: t.Type, Of: t.Dataset}
		if t.partly == nil && !send.All {
			k.Origin = send.From
		}
		if err := n.copyStream(ctx, send, k); err != nil {
			return err
		}
	}
	return nil
}

// copyStream feeds a stream of this machine's own into a kept dataset.
func (n *Node) copyStream(ctx context.Context, send zfs.Send, k zfs.Keep) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := session.WatchIdle(n.Config.Replication.Timeouts.Stream, func(after time.Duration) {
		cancel(fmt.Errorf("keep %s: no byte has moved for %s: its deadline has passed", send.To, after))
	})
	defer idle.Stop()
	into, err := n.ZFS.Keep(ctx, k)
	if err != nil {
		return err
	}
	from, err := n.ZFS.Send(ctx, send)
	if err != nil {
		into.Kill()
		return errors.Join(err, into.Finish())
	}
	_, copyErr := session.Copy(into, idle.Reader(from))
	if copyErr != nil {
		from.Kill()
	}
	sendErr := from.Finish()
	// A receiver that took no more ends by itself, and says why.
	if sendErr != nil && !errors.Is(copyErr, syscall.EPIPE) && !errors.Is(copyErr, syscall.ECONNRESET) {
		into.Kill() // what came of a stream that broke off is not to stay
	}
	intoErr := into.Finish()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case copyErr != nil && intoErr != nil, sendErr == nil && intoErr != nil:
		return fmt.Errorf("receive into %s: %w", k.Dataset, intoErr)
	case sendErr != nil:
		return fmt.Errorf("send %s: %w", send.To, sendErr)
	case copyErr != nil:
		return fmt.Errorf("send %s: %w", send.To, copyErr)
	}
	return nil
}

// folders makes what lies above a kept dataset.
func (n *Node) folders(ctx context.Context, kept string) error {
	pool := zfs.PoolOf(kept)
	root := zfs.KeptRoot(pool)
	listed, err := n.ZFS.DatasetsBare(ctx, []zfs.Root{{Name: pool}, {Name: root, Recursive: true}})
	if err != nil {
		return err
	}
	there := map[string]*zfs.Dataset{}
	for i := range listed {
		there[listed[i].Name] = &listed[i]
	}
	if there[root] == nil {
		beside := "/"
		if above := there[pool]; above != nil && strings.HasPrefix(above.Mountpoint, "/") {
			beside = path.Dir(above.Mountpoint)
		}
		// Beside the pool's root, not in it: that may be read-only, or not mounted.
		set := map[string]string{"mountpoint": path.Join(beside, zfs.KeptName, pool)}
		if err := n.ZFS.CreateFolder(ctx, root, keyless(set, there[pool])); err != nil {
			return err
		}
	}
	rest := strings.Split(strings.TrimPrefix(zfs.Parent(kept), root+"/"), "/")
	for i := range rest {
		name := root + "/" + strings.Join(rest[:i+1], "/")
		if there[name] == nil {
			if err := n.ZFS.CreateFolder(ctx, name, keyless(map[string]string{}, there[zfs.Parent(name)])); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyless lets a folder be made below an encrypted dataset whose key is not loaded:
// nothing is ever written into it, and what is kept below it stays encrypted.
func keyless(set map[string]string, above *zfs.Dataset) map[string]string {
	if above != nil && above.Encrypted {
		set["encryption"] = "off"
	}
	return set
}

// setAside renames a dataset, with all below it, to where it is kept.
func (n *Node) setAside(ctx context.Context, t *Tail) error {
	if err := n.folders(ctx, t.Kept); err != nil {
		return err
	}
	if err := n.ZFS.Set(ctx, map[string]string{zfs.KeptProperty: t.Dataset}, t.Dataset); err != nil {
		return fmt.Errorf("mark it as kept: %w", err)
	}
	if err := n.settle(ctx, t.Dataset); err != nil {
		return err
	}
	if err := n.ZFS.Rename(ctx, t.Type, t.Dataset, t.Kept); err != nil {
		return fmt.Errorf("set it aside as %s: %w", t.Kept, err)
	}
	return nil
}

// settle sees to it that what is set aside is neither written to nor mounted
// where it was before.
func (n *Node) settle(ctx context.Context, root string) error {
	found, err := n.ZFS.Properties(ctx, []string{root}, "type", "mountpoint")
	if err != nil {
		return err
	}
	var all, filesystems, elsewhere []string
	for name, p := range found {
		all = append(all, name)
		if zfs.Type(p["type"].Value) != zfs.Filesystem {
			continue
		}
		filesystems = append(filesystems, name)
		if p["mountpoint"].Source == "local" || p["mountpoint"].Source == "received" {
			elsewhere = append(elsewhere, name)
		}
	}
	return errors.Join(
		n.ZFS.Set(ctx, map[string]string{"readonly": "on"}, all...),
		n.ZFS.Set(ctx, map[string]string{"canmount": "noauto"}, filesystems...),
		n.ZFS.Inherit(ctx, "mountpoint", elsewhere...))
}

// giveRoot gives a pool root's snapshots to a clone of its newest one: nothing
// can be received into a root, and it can't be renamed. What it holds stays
// there too, out of sight, and takes no more room for it. The root becomes a
// container, below which its content comes anew.
func (n *Node) giveRoot(ctx context.Context, t *Tail) error {
	if err := n.folders(ctx, t.Kept); err != nil {
		return err
	}
	if len(t.newer) == 0 {
		return errors.New("it has no snapshot")
	}
	if err := n.ZFS.SetProperty(t.Dataset, "canmount", "off"); err != nil {
		return err
	}
	if err := n.ZFS.CloneKept(ctx, t.newer[len(t.newer)-1].Full(t.Dataset), t.Kept); err != nil {
		return fmt.Errorf("give its snapshots to %s: %w", t.Kept, err)
	}
	return n.ZFS.SetProperty(t.Dataset, zfs.ContainerProperty, t.Dataset)
}
