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

// place is a filesystem with those that are mounted below it. What counts is
// where they are mounted, not how they are called.
type place struct {
	*dataset
	below []*place
}

// places makes the tree of mountpoints. Those that share one with another
// filesystem are returned apart.
func places(datasets []*dataset) (top []*place, twice map[*dataset]*dataset) {
	datasets = slices.SortedStableFunc(slices.Values(datasets), func(a, b *dataset) int {
		// "/a-b" sorts before "/a/b", yet "/a" must stay next to what is below it.
		return cmp.Compare(strings.ReplaceAll(a.path(), "/", "\x00"), strings.ReplaceAll(b.path(), "/", "\x00"))
	})
	twice = map[*dataset]*dataset{}
	var above []*place
	for _, d := range datasets {
		for len(above) > 0 && !under(d.path(), above[len(above)-1].path()) {
			above = above[:len(above)-1]
		}
		p := &place{dataset: d}
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

// under reports whether a path is another one or lies below it.
func under(path, root string) bool {
	return path == root || root == "/" || strings.HasPrefix(path, root+"/")
}

// mount mounts what is to be mounted, by the order of the mountpoints.
func (w *work) mount(ctx context.Context) error {
	wanted := filter(w.holding.mine, w.toBeMounted)
	missing := len(filter(wanted, func(d *dataset) bool { return !d.mounted && !w.bad(d) }))
	top, twice := places(wanted)
	for d, other := range twice {
		w.fail(d, fmt.Errorf("dataset %s: its mountpoint %s is that of %s too", d.name, d.path(), other.name))
	}
	if missing == 0 {
		w.noteMounted(wanted)
		return nil
	}
	err := w.soft(ctx, "mount", missing, func(ctx context.Context) error {
		slots := make(chan struct{}, parallel)
		w.mountAll(ctx, top, slots)
		return ctx.Err()
	})
	for _, d := range wanted {
		if !d.mounted {
			w.fail(d, fmt.Errorf("dataset %s: there was no time left to mount it", d.name))
		}
	}
	w.noteMounted(wanted)
	return err
}

func (w *work) noteMounted(datasets []*dataset) {
	for _, d := range filter(datasets, func(d *dataset) bool { return d.mounted }) {
		w.result.Mounted = append(w.result.Mounted, d.path())
	}
}

// toBeMounted also is one that has failed: what is below must not be mounted
// without it.
func (w *work) toBeMounted(d *dataset) bool {
	if d.volume() || d.unborn {
		return false
	}
	if d.path() == "" {
		if d.mountpoint == "legacy" && !d.mounted {
			w.warn("%s: its mountpoint is legacy: it is not mounted here, see /etc/fstab", d.name)
		}
		return false
	}
	switch {
	case d.mounted, d.canmount.Value == "on", w.bad(d) && d.canmount.Value != "off":
		return true
	case d.canmount.Value == "noauto" && w.marks[d.name].mounted:
		return true
	case d.canmount.Value == "noauto":
		err := fmt.Errorf("dataset %s: it is not mounted, since its canmount is noauto; to have it: zfs mount %s", d.name, d.name)
		w.warn("%v", err)
		w.result.Unmounted = append(w.result.Unmounted, Failure{Dataset: d.name, Mountpoint: d.path(), Err: err})
	}
	return false
}

func (w *work) mountAll(ctx context.Context, all []*place, slots chan struct{}) {
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
	if w.bad(d) || d.mounted {
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
			w.warn("%s: it is not shared: %v", d.name, err)
		}
	}
	return true
}

func (w *work) failBelow(p *place, above string) {
	for _, child := range p.below {
		if !child.mounted {
			w.fail(child.dataset, fmt.Errorf("dataset %s: not mounted, since %s above it is not", child.name, above))
		}
		w.failBelow(child, above)
	}
}

// unmount unmounts everything, what is below first. What is in use is named;
// it is read-only by now, or has failed.
func (w *work) unmount(ctx context.Context) error {
	mounted := filter(w.holding.mine, func(d *dataset) bool { return d.mounted && !d.volume() })
	if len(mounted) == 0 {
		return nil
	}
	for _, d := range mounted {
		if d.path() == "" {
			w.warn("%s: it stays mounted, read-only: its mountpoint is %s, not one that ZFS sees to", d.name, d.mountpoint)
		}
	}
	mounted = slices.DeleteFunc(mounted, func(d *dataset) bool { return d.path() == "" })
	table, err := readMounts()
	if err != nil {
		return err
	}
	top, _ := places(mounted)
	return w.soft(ctx, "unmount", len(mounted), func(ctx context.Context) error {
		w.unmountAll(ctx, top, table, make(chan struct{}, parallel))
		return ctx.Err()
	})
}

func (w *work) unmountAll(ctx context.Context, all []*place, table []mountEntry, slots chan struct{}) {
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

func (w *work) unmountOne(ctx context.Context, p *place, table []mountEntry) {
	stays := func(why string) { w.warn("%s: it stays mounted at %s, read-only: %s", p.name, p.path(), why) }
	if other := w.mountedBelow(p, table); other != "" {
		stays(other + " is mounted below it")
		return
	}
	if other := w.covered(p.dataset, table); other != "" {
		stays(other + " is mounted there")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Failover.DatasetTimeout)
	defer cancel()
	if p.shared {
		if err := w.zfs.Unshare(ctx, p.name); err != nil {
			w.warn("%s: it is still shared: %v", p.name, err)
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

// covered is what else is mounted where a filesystem should be, or "". The
// simulator's filesystems do not bear their names.
func (w *work) covered(d *dataset, table []mountEntry) string {
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

// mountedBelow is the first mount below a filesystem that is not one of ours
// which has gone by now.
func (w *work) mountedBelow(p *place, table []mountEntry) string {
	gone := map[string]bool{}
	var visit func(*place)
	visit = func(q *place) {
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
