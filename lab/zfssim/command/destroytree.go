package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func (x *destruction) dataset(name string) int {
	a := x.a
	kinds := model.KindDataset
	if x.deferred {
		kinds = model.KindSnapshot
	}
	o, ok := a.Open(name, kinds)
	if !ok {
		return 1
	}
	d := o.DS
	if d.Parent() == nil && !x.recurse {
		fmt.Fprintf(a.Err, "cannot destroy '%s': operation does not apply to pools\n", name)
		fmt.Fprintf(a.Err, "use 'zfs destroy -r %s' to destroy all datasets in the pool\n", name)
		fmt.Fprintf(a.Err, "use 'zpool destroy %s' to destroy the pool itself\n", name)
		return 1
	}
	if !x.recurse && !x.clones {
		var names []string
		names = append(names, dependents(d)...)
		if len(names) > 0 {
			fmt.Fprintf(a.Err, "cannot destroy '%s': %s has children\n", name, o.KindName())
			fmt.Fprintln(a.Err, "use '-r' to destroy the following datasets:")
			for _, n := range names {
				fmt.Fprintln(a.Err, n)
			}
			return 1
		}
	}
	if !x.clones {
		var outside []*model.Dataset
		for _, e := range d.Below() {
			for _, s := range e.Snaps {
				for _, c := range s.Clones() {
					if c != d && !strings.HasPrefix(c.Name, d.Name+"/") {
						outside = append(outside, c)
					}
				}
			}
		}
		if len(outside) > 0 {
			x.dependants(name, o.KindName(), outside)
			return 1
		}
	}
	return x.tree(d)
}

// dependents lists what lies below a dataset, innermost first.
func dependents(d *model.Dataset) []string {
	var names []string
	for _, e := range d.Below() {
		if model.ParentName(e.Name) == d.Name {
			names = append(names, dependents(e)...)
			names = append(names, e.Name)
		}
	}
	for _, s := range d.Snaps {
		names = append(names, s.Full())
	}
	return names
}

// tree destroys a dataset with everything below it and the clones of its
// snapshots.
func (x *destruction) tree(d *model.Dataset) int {
	a := x.a
	if a.Store.Pools[d.Pool.Name].Datasets[d.Name] != d {
		return 0 // gone already, as a clone of something else
	}
	code := 0
	for _, e := range slices.Backward(d.Below()) {
		if e != d {
			code = max(code, x.tree(e))
		}
	}
	var held []string
	for _, s := range d.Snaps {
		for _, c := range s.Clones() {
			code = max(code, x.tree(c))
		}
		if len(s.Holds) > 0 {
			held = append(held, s.Full())
		}
		x.say(s.Full())
	}
	for _, h := range held {
		a.Fail(fmt.Sprintf("cannot destroy snapshot %s", h), fmt.Sprintf("it's being held. Run 'zfs holds -r %s' to see holders.", h))
	}
	x.say(d.Name)
	if x.dry {
		return code
	}
	if len(held) > 0 || code != 0 {
		return 1
	}
	if a.Faults.Match("destroy", "busy", d.Name) != nil || a.Store.Receiving(d) {
		return a.Fail(fmt.Sprintf("cannot destroy '%s'", d.Name), "dataset is busy")
	}
	mounted := len(a.Store.MountsOf(d)) > 0
	if path, err := a.Store.Unmount(d, x.force); err != nil {
		a.UnmountFailed(path, err)
		return 1
	}
	if mounted {
		a.Store.RemoveMountpoints([]*model.Dataset{d})
	}
	if d.Parent() == nil {
		d.Snaps, d.Marks = nil, nil // the root dataset itself stays
		x.touched(d)
		return code
	}
	if err := a.Store.Forget(d); err != nil {
		return a.Failf("zfssim: %v", err)
	}
	x.touched(d)
	return code
}
