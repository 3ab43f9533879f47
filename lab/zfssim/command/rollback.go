package command

import (
	"fmt"
	"slices"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func cmdRollback(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "rRf")
	if !ok {
		return 2
	}
	recurse, clones := false, false
	for _, o := range opts {
		switch o.Flag {
		case 'r':
			recurse = true
		case 'R':
			recurse, clones = true, true
		}
	}
	switch {
	case len(rest) < 1:
		return a.UsageError("missing dataset argument")
	case len(rest) > 1:
		return a.UsageError("too many arguments")
	}
	if !a.Begin(true) {
		return 1
	}
	o, ok := a.Open(rest[0], model.KindSnapshot)
	if !ok {
		return 1
	}
	d, snap := o.DS, o.Snap
	at := slices.Index(d.Snaps, snap)
	newer := slices.Clone(d.Snaps[at+1:])
	var marks []*model.Bookmark
	for _, b := range d.Marks {
		if b.TXG > snap.TXG {
			marks = append(marks, b)
		}
	}
	if (len(newer) > 0 || len(marks) > 0) && !recurse {
		fmt.Fprintf(a.Err, "cannot rollback to '%s': more recent snapshots or bookmarks exist\n", rest[0])
		fmt.Fprintln(a.Err, "use '-r' to force deletion of the following snapshots and bookmarks:")
		n := 0
		for _, s := range newer {
			fmt.Fprintln(a.Err, s.Full())
			if n++; n == 32 {
				fmt.Fprintln(a.Err, "Output limited to 32 snapshots/bookmarks")
				return 1
			}
		}
		for _, b := range marks {
			fmt.Fprintln(a.Err, d.Name+"#"+b.Name)
			if n++; n == 32 {
				fmt.Fprintln(a.Err, "Output limited to 32 snapshots/bookmarks")
				return 1
			}
		}
		return 1
	}
	if !clones {
		first := true
		for _, s := range newer {
			for _, c := range s.Clones() {
				if first {
					fmt.Fprintf(a.Err, "cannot rollback to '%s': clones of previous snapshots exist\n", rest[0])
					fmt.Fprintln(a.Err, "use '-R' to force deletion of the following clones and dependents:")
					first = false
				}
				for _, n := range append(dependents(c), c.Name) {
					fmt.Fprintln(a.Err, n)
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
			for _, c := range s.Clones() {
				if code := x.tree(c); code != 0 {
					return code
				}
			}
		}
	}
	for _, s := range newer {
		if len(s.Holds) > 0 {
			a.Fail(fmt.Sprintf("cannot destroy '%s'", s.Full()), "dataset is busy")
			return 1
		}
	}
	if a.Store.Receiving(d) {
		return a.Fail(fmt.Sprintf("cannot rollback '%s'", d.Name), "dataset is busy")
	}
	for _, s := range newer {
		x.remove(s)
	}
	d.Marks = slices.DeleteFunc(d.Marks, func(b *model.Bookmark) bool { return b.TXG > snap.TXG })
	d.Base, d.Live = snap.Manifest, false
	if d.Volume {
		d.Local["volsize"] = snap.VolSize
	}
	x.touched(d)
	p := d.Pool
	fams := x.families[p.Name]
	a.Store.Later(func() error { return a.Store.Restore(d) })
	a.Store.Later(func() error { return a.Store.Sweep(p, fams) })
	if !a.Commit() {
		return 1
	}
	return 0
}
