package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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
				x.reclaim += 0
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
		for _, e := range dependents(d) {
			names = append(names, e)
		}
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
	if path, err := a.store.unmount(d, x.force); err != nil {
		a.unmountFailed(path, err)
		return 1
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

// forget takes a dataset out of its pool; its folders go once that is
// committed.
func (s *store) forget(d *Dataset) error {
	delete(d.pool.Datasets, d.Name)
	d.pool.origins = nil
	s.touch(d.pool)
	os.Remove(s.keyFile(d.ID))
	if d.Volume {
		if err := s.removeVolumeLink(d); err != nil {
			return err
		}
	}
	s.later(func() error {
		if d.Stage != "" {
			os.RemoveAll(s.data(d.pool, "recv", d.Stage))
		}
		return os.RemoveAll(s.data(d.pool, "ds", d.ID))
	})
	return nil
}

// receiveBase says whether a partial receive builds on the snapshot.
func (s *store) receiveBase(sn *Snapshot) bool {
	d := sn.ds
	if d.Stage == "" || d.Partial || sn != d.latest() {
		return false
	}
	st, err := readStageHead(s.data(d.pool, "recv", d.Stage))
	return err == nil && (st.head.Resumable || s.receiving(d))
}

// sending says whether a live process is sending the snapshot.
func (s *store) sending(sn *Snapshot) bool {
	files, _ := filepath.Glob(s.data(sn.ds.pool, "send", fmt.Sprintf("%d.*", sn.Obj)))
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		free := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
		f.Close()
		if !free {
			return true
		}
		os.Remove(file)
	}
	return false
}

// markSending notes that this process sends the snapshot; the note dies with
// the process because it is a lock.
func (s *store) markSending(sn *Snapshot) (release func(), err error) {
	dir := s.data(sn.ds.pool, "send")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, fmt.Sprintf("%d.%s", sn.Obj, newID()))
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	return func() { os.Remove(file); f.Close() }, nil
}
