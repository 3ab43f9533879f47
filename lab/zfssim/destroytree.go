package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

func (x *destruction) dataset(name string) int {
	a := x.a
	kinds := kindDataset
	if x.deferred {
		kinds = kindSnapshot
	}
	o, ok := a.open(name, kinds)
	if !ok {
		return 1
	}
	d := o.ds
	if d.parent() == nil && !x.recurse {
		fmt.Fprintf(a.err, "cannot destroy '%s': operation does not apply to pools\n", name)
		fmt.Fprintf(a.err, "use 'zfs destroy -r %s' to destroy all datasets in the pool\n", name)
		fmt.Fprintf(a.err, "use 'zpool destroy %s' to destroy the pool itself\n", name)
		return 1
	}
	if !x.recurse && !x.clones {
		var names []string
		names = append(names, dependents(d)...)
		if len(names) > 0 {
			fmt.Fprintf(a.err, "cannot destroy '%s': %s has children\n", name, o.kindName())
			fmt.Fprintln(a.err, "use '-r' to destroy the following datasets:")
			for _, n := range names {
				fmt.Fprintln(a.err, n)
			}
			return 1
		}
	}
	if !x.clones {
		var outside []*Dataset
		for _, e := range d.below() {
			for _, s := range e.Snaps {
				for _, c := range s.clones() {
					if c != d && !strings.HasPrefix(c.Name, d.Name+"/") {
						outside = append(outside, c)
					}
				}
			}
		}
		if len(outside) > 0 {
			x.dependants(name, o.kindName(), outside)
			return 1
		}
	}
	return x.tree(d)
}

// dependents lists what lies below a dataset, innermost first.
func dependents(d *Dataset) []string {
	var names []string
	for _, e := range d.below() {
		if parentName(e.Name) == d.Name {
			names = append(names, dependents(e)...)
			names = append(names, e.Name)
		}
	}
	for _, s := range d.Snaps {
		names = append(names, s.full())
	}
	return names
}

// tree destroys a dataset with everything below it and the clones of its
// snapshots.
func (x *destruction) tree(d *Dataset) int {
	a := x.a
	if a.store.pools[d.pool.Name].Datasets[d.Name] != d {
		return 0 // gone already, as a clone of something else
	}
	code := 0
	for _, e := range slices.Backward(d.below()) {
		if e != d {
			code = max(code, x.tree(e))
		}
	}
	var held []string
	for _, s := range d.Snaps {
		for _, c := range s.clones() {
			code = max(code, x.tree(c))
		}
		if len(s.Holds) > 0 {
			held = append(held, s.full())
		}
		x.say(s.full())
	}
	for _, h := range held {
		a.fail(fmt.Sprintf("cannot destroy snapshot %s", h), fmt.Sprintf("it's being held. Run 'zfs holds -r %s' to see holders.", h))
	}
	x.say(d.Name)
	if x.dry {
		return code
	}
	if len(held) > 0 || code != 0 {
		return 1
	}
	if a.faults.match("destroy", "busy", d.Name) != nil || a.store.receiving(d) {
		return a.fail(fmt.Sprintf("cannot destroy '%s'", d.Name), "dataset is busy")
	}
	mounted := len(a.store.mountsOf(d)) > 0
	if path, err := a.store.unmount(d, x.force); err != nil {
		a.unmountFailed(path, err)
		return 1
	}
	if mounted {
		a.store.removeMountpoints([]*Dataset{d})
	}
	if d.parent() == nil {
		d.Snaps, d.Marks = nil, nil // the root dataset itself stays
		x.touched(d)
		return code
	}
	if err := a.store.forget(d); err != nil {
		return a.failf("zfssim: %v", err)
	}
	x.touched(d)
	return code
}

// removeFolder removes a dataset's live folder and all else that is kept of it.
func (s *store) removeFolder(d *Dataset) error {
	return errors.Join(s.m.Trees.Remove(s.liveDir(d), ""), s.m.Files.Remove(s.data(d.pool, "ds", d.ID)))
}

// forget takes a dataset out of its pool; its folders go once that is
// committed.
func (s *store) forget(d *Dataset) error {
	delete(d.pool.Datasets, d.Name)
	d.pool.origins = nil
	s.touch(d.pool)
	s.m.Files.Remove(s.keyFile(d.ID))
	if d.Volume {
		if err := s.removeVolumeLink(d); err != nil {
			return err
		}
	}
	s.later(func() error {
		if d.Stage != "" {
			s.m.Files.Remove(s.data(d.pool, "recv", d.Stage))
		}
		return s.removeFolder(d)
	})
	return nil
}
