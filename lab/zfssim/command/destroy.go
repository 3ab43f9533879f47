package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
)

// destruction is one run of zfs destroy.
type destruction struct {
	a        *app.App
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

func cmdDestroy(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "vpndfrR")
	if !ok {
		return 2
	}
	x := &destruction{a: a, families: map[string]map[string]bool{}}
	for _, o := range opts {
		switch o.Flag {
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
		return a.UsageError("missing dataset argument")
	case len(rest) > 1:
		return a.UsageError("too many arguments")
	}
	if !a.Begin(true) {
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
		p := a.Store.Pools[pool]
		a.Store.Later(func() error { return a.Store.Sweep(p, fams) })
	}
	if !a.Commit() {
		return 1
	}
	return code
}

func (x *destruction) say(name string) {
	switch {
	case !x.verbose:
	case x.parsable:
		fmt.Fprintf(x.a.Out, "destroy\t%s\n", name)
	case x.dry:
		fmt.Fprintf(x.a.Out, "would destroy %s\n", name)
	default:
		fmt.Fprintf(x.a.Out, "will destroy %s\n", name)
	}
}

func (x *destruction) bookmark(name string) int {
	a := x.a
	switch {
	case x.dry:
		a.Failf("dryrun is not supported with bookmark")
		return 255
	case x.deferred:
		a.Failf("defer destroy is not supported with bookmark")
		return 255
	case x.recurse:
		a.Failf("recursive is not supported with bookmark")
		return 255
	}
	o, ok := a.Store.Find(name)
	if !ok {
		return a.Failf("bookmark '%s' does not exist.", name)
	}
	o.DS.Marks = slices.DeleteFunc(o.DS.Marks, func(b *model.Bookmark) bool { return b == o.Mark })
	a.Store.Touch(o.DS.Pool)
	return 0
}

// snapshots destroys what FS@a,b%c names: lists and ranges.
func (x *destruction) snapshots(arg string) int {
	a := x.a
	dsName, spec, _ := strings.Cut(arg, "@")
	o, ok := a.Open(dsName, model.FsVol)
	if !ok {
		return 1
	}
	all := []*model.Dataset{o.DS}
	if x.recurse {
		all = o.DS.Below()
	}
	var victims []*model.Snapshot
	for _, d := range all {
		picked, failed := x.pick(d, spec)
		if failed {
			return 1
		}
		if x.verbose {
			for _, s := range picked {
				x.say(s.Full())
				x.reclaim += store.NewView(a.Store, a.Err).SnapUsed(s)
			}
		}
		victims = append(victims, picked...)
	}
	if len(victims) == 0 {
		return a.Failf("could not find any snapshots to destroy; check snapshot names.")
	}
	if x.verbose {
		switch {
		case x.parsable:
			fmt.Fprintf(a.Out, "reclaim\t%d\n", x.reclaim)
		case x.dry:
			fmt.Fprintf(a.Out, "would reclaim %s\n", model.NiceBytes(x.reclaim))
		default:
			fmt.Fprintf(a.Out, "will reclaim %s\n", model.NiceBytes(x.reclaim))
		}
	}
	if x.dry {
		return 0
	}
	if x.clones {
		for _, s := range victims {
			for _, c := range s.Clones() {
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
func (x *destruction) pick(d *model.Dataset, spec string) (picked []*model.Snapshot, failed bool) {
	add := func(s *model.Snapshot) {
		if !slices.Contains(picked, s) {
			picked = append(picked, s)
		}
	}
	for _, part := range strings.Split(spec, ",") {
		from, to, ranged := strings.Cut(part, "%")
		if !ranged {
			if s := d.Snapshot(part); s != nil {
				add(s)
			}
			continue
		}
		i, j := 0, len(d.Snaps)-1
		if from != "" {
			i = slices.IndexFunc(d.Snaps, func(s *model.Snapshot) bool { return s.Name == from })
		}
		if to != "" {
			j = slices.IndexFunc(d.Snaps, func(s *model.Snapshot) bool { return s.Name == to })
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
		if x.a.Store.ReceiveBase(s) {
			fmt.Fprintf(x.a.Err, "cannot destroy '%s': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n%s/%%recv\n", s.Full(), d.Name)
			return nil, true
		}
		if cl := s.Clones(); len(cl) > 0 {
			x.dependants(s.Full(), "snapshot", cl)
			return nil, true
		}
	}
	return picked, false
}

func (x *destruction) dependants(name, kind string, clones []*model.Dataset) {
	fmt.Fprintf(x.a.Err, "cannot destroy '%s': %s has dependent clones\n", name, kind)
	fmt.Fprintln(x.a.Err, "use '-R' to destroy the following datasets:")
	for _, c := range clones {
		for _, e := range slices.Backward(c.Below()) {
			for _, s := range e.Snaps {
				fmt.Fprintln(x.a.Err, s.Full())
			}
			fmt.Fprintln(x.a.Err, e.Name)
		}
	}
}

// drop destroys snapshots, all or none.
func (x *destruction) drop(victims []*model.Snapshot) int {
	a := x.a
	failed := false
	slices.SortStableFunc(victims, func(s, t *model.Snapshot) int { return strings.Compare(s.Full(), t.Full()) })
	for _, s := range victims {
		what := fmt.Sprintf("cannot destroy snapshot %s", s.Full())
		switch {
		case x.deferred:
		case len(s.Clones()) > 0:
			a.Fail(what, "snapshot is cloned")
			failed = true
		case len(s.Holds) > 0:
			a.Fail(what, fmt.Sprintf("it's being held. Run 'zfs holds -r %s' to see holders.", s.Full()))
			failed = true
		case a.Store.Sending(s) || a.Faults.Match("destroy", "busy", s.Full()) != nil:
			a.Fail(what, "dataset is busy")
			failed = true
		}
	}
	if failed {
		return 1
	}
	for _, s := range victims {
		if x.deferred && (len(s.Clones()) > 0 || len(s.Holds) > 0) {
			s.Defer = true
			a.Store.Touch(s.DS.Pool)
			continue
		}
		x.remove(s)
	}
	return 0
}

func (x *destruction) remove(s *model.Snapshot) {
	// What the next state wrote now counts from the one before.
	d := s.DS
	if i := slices.Index(d.Snaps, s); i >= 0 && i+1 < len(d.Snaps) {
		d.Snaps[i+1].Written += s.Written
	}
	s.Drop()
	x.touched(d)
}

func (x *destruction) touched(d *model.Dataset) {
	x.a.Store.Touch(d.Pool)
	if x.families[d.Pool.Name] == nil {
		x.families[d.Pool.Name] = map[string]bool{}
	}
	x.families[d.Pool.Name][d.Family] = true
}
