package main

import (
	"fmt"
	"slices"
)

func cmdRollback(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "rRf")
	if !ok {
		return 2
	}
	recurse, clones := false, false
	for _, o := range opts {
		switch o.flag {
		case 'r':
			recurse = true
		case 'R':
			recurse, clones = true, true
		}
	}
	switch {
	case len(rest) < 1:
		return a.usageError("missing dataset argument")
	case len(rest) > 1:
		return a.usageError("too many arguments")
	}
	if !a.begin(true) {
		return 1
	}
	o, ok := a.open(rest[0], kindSnapshot)
	if !ok {
		return 1
	}
	d, snap := o.ds, o.snap
	at := slices.Index(d.Snaps, snap)
	newer := slices.Clone(d.Snaps[at+1:])
	var marks []*Bookmark
	for _, b := range d.Marks {
		if b.TXG > snap.TXG {
			marks = append(marks, b)
		}
	}
	if (len(newer) > 0 || len(marks) > 0) && !recurse {
		fmt.Fprintf(a.err, "cannot rollback to '%s': more recent snapshots or bookmarks exist\n", rest[0])
		fmt.Fprintln(a.err, "use '-r' to force deletion of the following snapshots and bookmarks:")
		n := 0
		for _, s := range newer {
			fmt.Fprintln(a.err, s.full())
			if n++; n == 32 {
				fmt.Fprintln(a.err, "Output limited to 32 snapshots/bookmarks")
				return 1
			}
		}
		for _, b := range marks {
			fmt.Fprintln(a.err, d.Name+"#"+b.Name)
			if n++; n == 32 {
				fmt.Fprintln(a.err, "Output limited to 32 snapshots/bookmarks")
				return 1
			}
		}
		return 1
	}
	if !clones {
		first := true
		for _, s := range newer {
			for _, c := range s.clones() {
				if first {
					fmt.Fprintf(a.err, "cannot rollback to '%s': clones of previous snapshots exist\n", rest[0])
					fmt.Fprintln(a.err, "use '-R' to force deletion of the following clones and dependents:")
					first = false
				}
				for _, n := range append(dependents(c), c.Name) {
					fmt.Fprintln(a.err, n)
				}
			}
		}
		if !first {
			return 1
		}
	}
	x := &destruction{a: a, families: map[string]map[string]bool{}, recurse: true, clones: true}
	if clones {
		for _, s := range newer {
			for _, c := range s.clones() {
				if code := x.tree(c); code != 0 {
					return code
				}
			}
		}
	}
	for _, s := range newer {
		if len(s.Holds) > 0 {
			a.fail(fmt.Sprintf("cannot destroy '%s'", s.full()), "dataset is busy")
			return 1
		}
	}
	if a.store.receiving(d) {
		return a.fail(fmt.Sprintf("cannot rollback '%s'", d.Name), "dataset is busy")
	}
	for _, s := range newer {
		x.remove(s)
	}
	d.Marks = slices.DeleteFunc(d.Marks, func(b *Bookmark) bool { return b.TXG > snap.TXG })
	d.Base, d.Live = snap.Manifest, false
	if d.Volume {
		d.Local["volsize"] = snap.VolSize
	}
	x.touched(d)
	p := d.pool
	fams := x.families[p.Name]
	a.store.later(func() error { return a.store.restore(d) })
	a.store.later(func() error { return a.store.sweep(p, fams) })
	if !a.commit() {
		return 1
	}
	return 0
}
