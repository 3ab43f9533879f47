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

// sends returns the streams that complete the preserved copy: first a single
// increment, which makes the clone, then the rest.
func (t *Changes) sends() []zfs.Send {
	base, left := t.base, t.newer
	var sends []zfs.Send
	add := func(to zfs.Snap, all bool) {
		sends = append(sends, zfs.Send{From: base.Full(t.Dataset), To: to.Full(t.Dataset), All: all, Flags: plan.DefaultFlags, Raw: t.dataset.Encrypted, Bare: true})
		base = to
	}
	if t.begun == nil {
		add(left[0], false)
		left = left[1:]
	} else if newest, any := t.begun.Newest(); any {
		left = newerThan(left, newest.GUID)
		base = newest
	}
	if len(left) > 0 {
		add(left[len(left)-1], true)
	}
	return sends
}

// preserve copies changes into their preserved copy, as far as they are missing there.
func (n *Node) preserve(ctx context.Context, t *Changes) error {
	if err := n.folders(ctx, t.Copy); err != nil {
		return err
	}
	for _, send := range t.sends() {
		k := zfs.Preserve{Dataset: t.Copy, Type: t.Type, Of: t.Dataset}
		if t.begun == nil && !send.All {
			k.Origin = send.From
		}
		if err := n.copyStream(ctx, send, k); err != nil {
			return err
		}
	}
	return nil
}

// copyStream feeds a stream of this machine into a preserved copy.
func (n *Node) copyStream(ctx context.Context, send zfs.Send, k zfs.Preserve) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := session.WatchIdle(n.Config.Replication.Timeouts.Stream, func(after time.Duration) {
		cancel(fmt.Errorf("preserve %s: no byte has moved for %s: its deadline has passed", send.To, after))
	})
	defer idle.Stop()
	into, err := n.ZFS.Preserve(ctx, k)
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
	// A receiver that stops reading ends by itself, with its own error.
	if sendErr != nil && !errors.Is(copyErr, syscall.EPIPE) && !errors.Is(copyErr, syscall.ECONNRESET) {
		into.Kill() // nothing of an interrupted stream may stay
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

// folders creates the datasets above a preserved copy.
func (n *Node) folders(ctx context.Context, name string) error {
	pool := zfs.PoolOf(name)
	root := zfs.PreservedRoot(pool)
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
		set := map[string]string{"mountpoint": path.Join(beside, zfs.PreservedName, pool)}
		if err := n.ZFS.CreateFolder(ctx, root, keyless(set, there[pool])); err != nil {
			return err
		}
	}
	rest := strings.Split(strings.TrimPrefix(zfs.Parent(name), root+"/"), "/")
	for i := range rest {
		folder := root + "/" + strings.Join(rest[:i+1], "/")
		if there[folder] == nil {
			if err := n.ZFS.CreateFolder(ctx, folder, keyless(map[string]string{}, there[zfs.Parent(folder)])); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyless lets a folder be created below an encrypted dataset whose key is not loaded.
// Nothing is ever written into the folder, and the copies below it stay encrypted.
func keyless(set map[string]string, above *zfs.Dataset) map[string]string {
	if above != nil && above.Encrypted {
		set["encryption"] = "off"
	}
	return set
}

// setAside renames a dataset, with all below it, to its preserved copy.
func (n *Node) setAside(ctx context.Context, t *Changes) error {
	if err := n.folders(ctx, t.Copy); err != nil {
		return err
	}
	if err := n.ZFS.Set(ctx, map[string]string{zfs.PreservedProperty: t.Dataset}, t.Dataset); err != nil {
		return fmt.Errorf("mark it as preserved: %w", err)
	}
	if err := n.seal(ctx, t.Dataset); err != nil {
		return err
	}
	if err := n.ZFS.Rename(ctx, t.Type, t.Dataset, t.Copy); err != nil {
		return fmt.Errorf("set it aside as %s: %w", t.Copy, err)
	}
	return nil
}

// seal makes a dataset that is set aside read-only, and keeps it from being mounted at
// its old place.
func (n *Node) seal(ctx context.Context, root string) error {
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

// cloneRoot moves a pool root's snapshots to a clone of the newest one: nothing can be
// received into a root, and it can't be renamed. The root keeps its content, out of
// sight and without using more space. It becomes a container, below which the active
// node sends its own root's content.
func (n *Node) cloneRoot(ctx context.Context, t *Changes) error {
	if err := n.folders(ctx, t.Copy); err != nil {
		return err
	}
	if len(t.newer) == 0 {
		return errors.New("it has no snapshot")
	}
	if err := n.ZFS.SetProperty(t.Dataset, "canmount", "off"); err != nil {
		return err
	}
	if err := n.ZFS.ClonePreserved(ctx, t.newer[len(t.newer)-1].Full(t.Dataset), t.Copy); err != nil {
		return fmt.Errorf("move its snapshots to %s: %w", t.Copy, err)
	}
	return n.ZFS.SetProperty(t.Dataset, zfs.ContainerProperty, t.Dataset)
}
