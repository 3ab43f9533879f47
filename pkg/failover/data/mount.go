package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// mountNode is a filesystem with the filesystems that are mounted below it. The
// mountpoints decide, not the names.
type mountNode struct {
	*dataset
	below []*mountNode
}

// mountTree returns the trees of mountpoints. Filesystems that share the mountpoint
// of another are returned as twice.
func mountTree(datasets []*dataset) (top []*mountNode, twice map[*dataset]*dataset) {
	datasets = slices.SortedStableFunc(slices.Values(datasets), func(a, b *dataset) int {
		// "/a-b" sorts before "/a/b", yet "/a" must stay next to the paths below it.
		return cmp.Compare(strings.ReplaceAll(a.path(), "/", "\x00"), strings.ReplaceAll(b.path(), "/", "\x00"))
	})
	twice = map[*dataset]*dataset{}
	var above []*mountNode
	for _, d := range datasets {
		for len(above) > 0 && !under(d.path(), above[len(above)-1].path()) {
			above = above[:len(above)-1]
		}
		p := &mountNode{dataset: d}
		switch {
		case len(above) == 0:
			top = append(top, p)
		case above[len(above)-1].path() == d.path():
			twice[d] = above[len(above)-1].dataset
			continue
		default:
			parent := above[len(above)-1]
			parent.below = append(parent.below, p)
		}
		above = append(above, p)
	}
	return top, twice
}

// under reports whether a path is root or lies below it.
func under(path, root string) bool {
	return path == root || root == "/" || strings.HasPrefix(path, root+"/")
}

// mount mounts the filesystems in the order of their mountpoints.
func (w *work) mount(ctx context.Context) error {
	wanted := filter(w.inventory.replicated, w.shouldMount)
	missing := len(filter(wanted, func(d *dataset) bool { return !d.mounted && !w.hasFailed(d) }))
	top, twice := mountTree(wanted)
	for d, other := range twice {
		w.fail(d, fmt.Errorf("dataset %s: mountpoint %s also belongs to %s", d.name, d.path(), other.name))
	}
	if missing == 0 {
		w.recordMounted(wanted)
		return nil
	}
	err := w.bestEffort(ctx, "mount", missing, func(ctx context.Context) error {
		slots := make(chan struct{}, parallel)
		w.mountAll(ctx, top, slots)
		return ctx.Err()
	})
	for _, d := range wanted {
		if !d.mounted {
			w.fail(d, fmt.Errorf("dataset %s: no time left to mount it", d.name))
		}
	}
	w.recordMounted(wanted)
	return err
}

func (w *work) recordMounted(datasets []*dataset) {
	for _, d := range filter(datasets, func(d *dataset) bool { return d.mounted }) {
		w.result.Mounted = append(w.result.Mounted, d.path())
	}
}

// shouldMount reports whether a filesystem is to be mounted. That includes failed
// ones: filesystems below them must not be mounted without them.
func (w *work) shouldMount(d *dataset) bool {
	if d.volume() || d.incomplete {
		return false
	}
	if d.path() == "" {
		if d.mountpoint == "legacy" && !d.mounted {
			w.warn("%s: mountpoint is legacy: not mounted by a takeover, see /etc/fstab", d.name)
		}
		return false
	}
	switch {
	case d.mounted, d.canmount.Value == "on", w.hasFailed(d) && d.canmount.Value != "off":
		return true
	case d.canmount.Value == "noauto" && w.restores[d.name].mounted:
		return true
	case d.canmount.Value == "noauto":
		err := fmt.Errorf("dataset %s: not mounted, because canmount is noauto; to mount it: zfs mount %s", d.name, d.name)
		w.warn("%v", err)
		w.result.Unmounted = append(w.result.Unmounted, Failure{Dataset: d.name, Mountpoint: d.path(), Err: err})
	}
	return false
}

func (w *work) mountAll(ctx context.Context, all []*mountNode, slots chan struct{}) {
	var wait sync.WaitGroup
	for _, p := range all {
		wait.Go(func() {
			if !w.mountOne(ctx, p.dataset, slots) {
				w.failBelow(p, p.name)
				return
			}
			w.mountAll(ctx, p.below, slots)
		})
	}
	wait.Wait()
}

func (w *work) mountOne(ctx context.Context, d *dataset, slots chan struct{}) bool {
	if w.hasFailed(d) || d.mounted {
		return d.mounted
	}
	slots <- struct{}{}
	defer func() { <-slots }()
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Failover.DatasetTimeout)
	defer cancel()
	if err := w.zfs.Mount(ctx, d.name); err != nil {
		w.fail(d, fmt.Errorf("mount %s: %w", d.name, err))
		return false
	}
	d.mounted = true
	if d.shared {
		if err := w.zfs.Share(ctx, d.name); err != nil {
			w.warn("%s: not shared: %v", d.name, err)
		}
	}
	return true
}

func (w *work) failBelow(p *mountNode, above string) {
	for _, child := range p.below {
		if !child.mounted {
			w.fail(child.dataset, fmt.Errorf("dataset %s: not mounted, because %s above it is not", child.name, above))
		}
		w.failBelow(child, above)
	}
}

// unmount unmounts all filesystems, innermost first. It warns of those in use; they
// are read-only by now, or have failed.
func (w *work) unmount(ctx context.Context) error {
	mounted := filter(w.inventory.replicated, func(d *dataset) bool { return d.mounted && !d.volume() })
	if len(mounted) == 0 {
		return nil
	}
	for _, d := range mounted {
		if d.path() == "" {
			w.warn("%s: stays mounted read-only: ZFS does not manage mountpoint %s", d.name, d.mountpoint)
		}
	}
	mounted = slices.DeleteFunc(mounted, func(d *dataset) bool { return d.path() == "" })
	table, err := readMounts()
	if err != nil {
		return err
	}
	top, _ := mountTree(mounted)
	return w.bestEffort(ctx, "unmount", len(mounted), func(ctx context.Context) error {
		w.unmountAll(ctx, top, table, make(chan struct{}, parallel))
		return ctx.Err()
	})
}

func (w *work) unmountAll(ctx context.Context, all []*mountNode, table []mountEntry, slots chan struct{}) {
	var wait sync.WaitGroup
	for _, p := range all {
		wait.Go(func() {
			w.unmountAll(ctx, p.below, table, slots)
			slots <- struct{}{}
			defer func() { <-slots }()
			w.unmountOne(ctx, p, table)
		})
	}
	wait.Wait()
}

func (w *work) unmountOne(ctx context.Context, p *mountNode, table []mountEntry) {
	stays := func(why string) { w.warn("%s: stays mounted at %s read-only: %s", p.name, p.path(), why) }
	if other := w.mountedBelow(p, table); other != "" {
		stays(other + " is mounted below it")
		return
	}
	if other := w.mountedOver(p.dataset, table); other != "" {
		stays(other + " is mounted there")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Failover.DatasetTimeout)
	defer cancel()
	if p.shared {
		if err := w.zfs.Unshare(ctx, p.name); err != nil {
			w.warn("%s: still shared: %v", p.name, err)
		}
	}
	err := w.zfs.Unmount(ctx, p.name, p.path())
	switch {
	case err == nil:
		p.mounted = false
	case errors.Is(err, zfs.Busy):
		stays("in use by " + w.holders(ctx, p.dataset))
	default:
		stays(err.Error())
	}
}

// mountedOver returns what else is mounted at a filesystem's mountpoint, or "". The
// simulator's mounts do not carry the names of filesystems.
func (w *work) mountedOver(d *dataset, table []mountEntry) string {
	for _, m := range slices.Backward(table) {
		if m.path == d.path() {
			if m.source == d.name || !w.real() {
				return ""
			}
			return m.source
		}
	}
	return "nothing"
}

// mountedBelow returns the first mount below a filesystem, or "". Replicated
// filesystems that are unmounted by now do not count.
func (w *work) mountedBelow(p *mountNode, table []mountEntry) string {
	gone := map[string]bool{}
	var visit func(*mountNode)
	visit = func(q *mountNode) {
		for _, child := range q.below {
			gone[child.path()] = !child.mounted
			visit(child)
		}
	}
	visit(p)
	for _, m := range table {
		if m.path != p.path() && under(m.path, p.path()) && !gone[m.path] {
			return m.path
		}
	}
	return ""
}
