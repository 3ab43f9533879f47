package main

import (
	"fmt"
	"slices"
	"strings"
)

// destruction is one run of zfs destroy.
type destruction struct {
	a        *app
	recurse  bool
	clones   bool
	dry      bool
	verbose  bool
	parsable bool
	deferred bool
	force    bool
	families map[string]map[string]bool // pool → families to sweep
	reclaim  uint64
}

func cmdDestroy(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "vpndfrR")
	if !ok {
		return 2
	}
	x := &destruction{a: a, families: map[string]map[string]bool{}}
	for _, o := range opts {
		switch o.flag {
		case 'v':
			x.verbose = true
		case 'p':
			x.verbose, x.parsable = true, true
		case 'n':
			x.dry = true
		case 'd':
			x.deferred = true
		case 'f':
			x.force = true
		case 'r':
			x.recurse = true
		case 'R':
			x.recurse, x.clones = true, true
		}
	}
	switch {
	case len(rest) == 0:
		return a.usageError("missing dataset argument")
	case len(rest) > 1:
		return a.usageError("too many arguments")
	}
	if !a.begin(true) {
		return 1
	}
	var code int
	switch name := rest[0]; {
	case strings.Contains(name, "@"):
		code = x.snapshots(name)
	case strings.Contains(name, "#"):
		code = x.bookmark(name)
	default:
		code = x.dataset(name)
	}
	if x.dry {
		return code
	}
	for pool, fams := range x.families {
		p := a.store.pools[pool]
		a.store.later(func() error { return a.store.sweep(p, fams) })
	}
	if !a.commit() {
		return 1
	}
	return code
}

func (x *destruction) say(name string) {
	switch {
	case !x.verbose:
	case x.parsable:
		fmt.Fprintf(x.a.out, "destroy\t%s\n", name)
	case x.dry:
		fmt.Fprintf(x.a.out, "would destroy %s\n", name)
	default:
		fmt.Fprintf(x.a.out, "will destroy %s\n", name)
	}
}

func (x *destruction) bookmark(name string) int {
	a := x.a
	switch {
	case x.dry:
		a.failf("dryrun is not supported with bookmark")
		return 255
	case x.deferred:
		a.failf("defer destroy is not supported with bookmark")
		return 255
	case x.recurse:
		a.failf("recursive is not supported with bookmark")
		return 255
	}
	o, ok := a.store.find(name)
	if !ok {
		return a.failf("bookmark '%s' does not exist.", name)
	}
	o.ds.Marks = slices.DeleteFunc(o.ds.Marks, func(b *Bookmark) bool { return b == o.mark })
	a.store.touch(o.ds.pool)
	return 0
}

// snapshots destroys what FS@a,b%c names: lists and ranges.
func (x *destruction) snapshots(arg string) int {
	a := x.a
	dsName, spec, _ := strings.Cut(arg, "@")
	o, ok := a.open(dsName, fsVol)
	if !ok {
		return 1
	}
	all := []*Dataset{o.ds}
	if x.recurse {
		all = o.ds.below()
	}
	var victims []*Snapshot
	for _, d := range all {
		picked, failed := x.pick(d, spec)
		if failed {
			return 1
		}
		if x.verbose {
			for _, s := range picked {
				x.say(s.full())
				x.reclaim += newView(a.store, a.err).snapUsed(s)
			}
		}
		victims = append(victims, picked...)
	}
	if len(victims) == 0 {
		return a.failf("could not find any snapshots to destroy; check snapshot names.")
	}
	if x.verbose {
		switch {
		case x.parsable:
			fmt.Fprintf(a.out, "reclaim\t%d\n", x.reclaim)
		case x.dry:
			fmt.Fprintf(a.out, "would reclaim %s\n", niceBytes(x.reclaim))
		default:
			fmt.Fprintf(a.out, "will reclaim %s\n", niceBytes(x.reclaim))
		}
	}
	if x.dry {
		return 0
	}
	if x.clones {
		for _, s := range victims {
			for _, c := range s.clones() {
				if code := x.tree(c); code != 0 {
					return code
				}
			}
		}
	}
	return x.drop(victims)
}

// pick resolves the specification for one dataset. A name that does not exist
// is an error of this dataset only, as in libzfs, where it goes unmentioned.
func (x *destruction) pick(d *Dataset, spec string) (picked []*Snapshot, failed bool) {
	add := func(s *Snapshot) {
		if !slices.Contains(picked, s) {
			picked = append(picked, s)
		}
	}
	for _, part := range strings.Split(spec, ",") {
		from, to, ranged := strings.Cut(part, "%")
		if !ranged {
			if s := d.snapshot(part); s != nil {
				add(s)
			}
			continue
		}
		i, j := 0, len(d.Snaps)-1
		if from != "" {
			i = slices.IndexFunc(d.Snaps, func(s *Snapshot) bool { return s.Name == from })
		}
		if to != "" {
			j = slices.IndexFunc(d.Snaps, func(s *Snapshot) bool { return s.Name == to })
		}
		if i < 0 || j < 0 {
			continue
		}
		for ; i <= j; i++ {
			add(d.Snaps[i])
		}
	}
	if x.clones || x.deferred {
		return picked, false
	}
	for _, s := range picked {
		if x.a.store.receiveBase(s) {
			fmt.Fprintf(x.a.err, "cannot destroy '%s': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n%s/%%recv\n", s.full(), d.Name)
			return nil, true
		}
		if cl := s.clones(); len(cl) > 0 {
			x.dependants(s.full(), "snapshot", cl)
			return nil, true
		}
	}
	return picked, false
}

func (x *destruction) dependants(name, kind string, clones []*Dataset) {
	fmt.Fprintf(x.a.err, "cannot destroy '%s': %s has dependent clones\n", name, kind)
	fmt.Fprintln(x.a.err, "use '-R' to destroy the following datasets:")
	for _, c := range clones {
		for _, e := range slices.Backward(c.below()) {
			for _, s := range e.Snaps {
				fmt.Fprintln(x.a.err, s.full())
			}
			fmt.Fprintln(x.a.err, e.Name)
		}
	}
}

// drop destroys snapshots, all or none.
func (x *destruction) drop(victims []*Snapshot) int {
	a := x.a
	failed := false
	slices.SortStableFunc(victims, func(s, t *Snapshot) int { return strings.Compare(s.full(), t.full()) })
	for _, s := range victims {
		what := fmt.Sprintf("cannot destroy snapshot %s", s.full())
		switch {
		case x.deferred:
		case len(s.clones()) > 0:
			a.fail(what, "snapshot is cloned")
			failed = true
		case len(s.Holds) > 0:
			a.fail(what, fmt.Sprintf("it's being held. Run 'zfs holds -r %s' to see holders.", s.full()))
			failed = true
		case a.store.sending(s) || a.faults.match("destroy", "busy", s.full()) != nil:
			a.fail(what, "dataset is busy")
			failed = true
		}
	}
	if failed {
		return 1
	}
	for _, s := range victims {
		if x.deferred && (len(s.clones()) > 0 || len(s.Holds) > 0) {
			s.Defer = true
			a.store.touch(s.ds.pool)
			continue
		}
		x.remove(s)
	}
	return 0
}

func (x *destruction) remove(s *Snapshot) {
	// What the next state wrote now counts from the one before.
	d := s.ds
	if i := slices.Index(d.Snaps, s); i >= 0 && i+1 < len(d.Snaps) {
		d.Snaps[i+1].Written += s.Written
	}
	s.drop()
	x.touched(d)
}

func (x *destruction) touched(d *Dataset) {
	x.a.store.touch(d.pool)
	if x.families[d.pool.Name] == nil {
		x.families[d.pool.Name] = map[string]bool{}
	}
	x.families[d.pool.Name][d.Family] = true
}
