package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func cmdSnapshot(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "ro:")
	if !ok {
		return 2
	}
	recurse := false
	props := map[string]string{}
	for _, o := range opts {
		switch o.flag {
		case 'r':
			recurse = true
		case 'o':
			n, v, ok := splitProperty(o.arg)
			if !ok {
				return a.failf("missing '=' for property=value argument")
			}
			props[n] = v
		}
	}
	if len(rest) == 0 {
		return a.usageError("missing snapshot argument")
	}
	if !a.begin(true) {
		return 1
	}
	var names []string // full names, as libzfs hands them to the kernel
	for _, r := range rest {
		ds, snap, ok := strings.Cut(r, "@")
		if !ok {
			return a.usage()
		}
		o, ok := a.open(ds, fsVol)
		if !ok {
			return a.usage()
		}
		all := []*Dataset{o.ds}
		if recurse {
			all = o.ds.below()
		}
		for _, d := range all {
			if (!d.Partial || d == o.ds) && !slices.Contains(names, d.Name+"@"+snap) {
				names = append(names, d.Name+"@"+snap)
			}
		}
	}
	code := a.takeSnapshots(names, props)
	if code != 0 {
		if len(rest) > 1 || recurse {
			fmt.Fprintln(a.err, "no snapshots were created")
		}
		return code
	}
	if !a.commit() {
		return 1
	}
	return 0
}

// takeSnapshots makes all the snapshots or none; it prints what prevents it.
func (a *app) takeSnapshots(names []string, props map[string]string) int {
	for _, n := range names {
		if why := checkName(n, kindSnapshot, true); why != "" {
			return a.fail(fmt.Sprintf("cannot create snapshot '%s'", n), why)
		}
	}
	table := settable()
	for _, n := range slices.Sorted(maps.Keys(props)) {
		if !isUserProperty(n) {
			if _, ok := table[canonical(n)]; ok {
				return a.fail("cannot create snapshots ", "this property can not be modified for snapshots")
			}
			return a.fail("cannot create snapshots ", fmt.Sprintf("invalid property '%s'", n))
		}
	}
	pool := ""
	seen := map[string]bool{}
	failed := false
	for _, n := range names {
		ds, snap, _ := strings.Cut(n, "@")
		p, _, _ := strings.Cut(ds, "/")
		if pool != "" && p != pool {
			return a.fail("cannot create snapshots ", "multiple snapshots of same fs not allowed")
		}
		pool = p
		if seen[ds] {
			return a.fail("cannot create snapshots ", "multiple snapshots of same fs not allowed")
		}
		seen[ds] = true
		d := a.store.pools[p].Datasets[ds]
		switch {
		case d.snapshot(snap) != nil:
			a.fail(fmt.Sprintf("cannot create snapshot '%s'", n), "dataset already exists")
			failed = true
		case d.Partial, a.faults.match("snapshot", "busy", ds) != nil:
			a.fail(fmt.Sprintf("cannot create snapshot '%s'", n), "dataset is busy")
			failed = true
		case a.faults.match("snapshot", "nospace", ds) != nil:
			a.fail(fmt.Sprintf("cannot create snapshot '%s'", n), "out of space")
			failed = true
		}
	}
	if failed || pool == "" {
		return 1
	}
	root := a.store.pools[pool].Datasets[pool]
	if newView(a.store, a.err).available(root) == 0 {
		return a.fail("cannot create snapshots ", "out of space")
	}
	txg, now := a.store.pools[pool].nextTXG(), a.store.m.Now().Unix()
	for _, n := range names {
		ds, snap, _ := strings.Cut(n, "@")
		if err := a.store.takeSnapshot(a.store.pools[pool].Datasets[ds], snap, txg, now, props); err != nil {
			return a.failf("zfssim: %v", err)
		}
	}
	return 0
}

// takeSnapshot saves a dataset's state under a name.
func (s *store) takeSnapshot(d *Dataset, name string, txg uint64, now int64, props map[string]string) error {
	ch, err := s.changed(d)
	if err != nil {
		return err
	}
	id, refer, added, indexed, err := s.save(d)
	if err != nil {
		return err
	}
	d.Base = id
	d.Stored += added
	sn := &Snapshot{Name: name, GUID: s.newGUID(), TXG: txg, Creation: now, Obj: d.pool.nextObj(), Manifest: id,
		Refer: max(refer, emptyOf(d)), Written: ch, ds: d}
	if len(d.Snaps) == 0 && d.Origin == 0 {
		sn.Written = sn.Refer
	}
	if len(props) > 0 {
		sn.Local = maps.Clone(props)
	}
	if d.Volume {
		sn.VolSize = d.prop("volsize")
	}
	d.Snaps = append(d.Snaps, sn)
	d.pool.origins = nil
	s.touch(d.pool)
	s.later(indexed)
	return nil
}

func cmdBookmark(a *app, args []string) int {
	_, rest, ok := a.parseOptions(args, "")
	if !ok {
		return 2
	}
	switch len(rest) {
	case 0:
		return a.usageError("missing source argument")
	case 1:
		return a.usageError("missing bookmark argument")
	}
	src, mark := rest[0], rest[1]
	if !strings.ContainsAny(src, "@#") {
		return a.usageError("invalid source name '%s': must contain a '@' or '#'", src)
	}
	if !strings.Contains(mark, "#") {
		return a.usageError("invalid bookmark name '%s': must contain a '#'", mark)
	}
	shortSrc, shortMark := strings.IndexAny(src, "@#") == 0, mark[0] == '#'
	switch {
	case shortSrc && shortMark:
		fmt.Fprint(a.err, "either source or bookmark must be specified as full dataset paths")
		return a.usage()
	case shortSrc:
		src = mark[:strings.IndexByte(mark, '#')] + src
	case shortMark:
		mark = src[:strings.IndexAny(src, "@#")] + mark
	}
	kind := kindSnapshot
	if src[strings.IndexAny(src, "@#")] == '#' {
		kind = kindBookmark
	}
	if !a.begin(true) {
		return 1
	}
	from, ok := a.open(src, kind)
	if !ok {
		return a.usage()
	}
	what := fmt.Sprintf("cannot create bookmark '%s'", mark)
	dsName, name, _ := strings.Cut(mark, "#")
	if checkName(mark, kindBookmark, true) != "" {
		return a.fail(what, "invalid argument")
	}
	pool, _, _ := strings.Cut(dsName, "/")
	if pool != from.ds.pool.Name {
		return a.fail(what, "bookmark is in a different pool")
	}
	to, ok := a.store.find(dsName)
	if !ok {
		return a.fail(what, "dataset does not exist")
	}
	if to.ds != from.ds && !descends(to.ds, from.ds) {
		return a.fail(what, "source is not an ancestor of the new bookmark's dataset")
	}
	if have := to.ds.bookmark(name); have != nil {
		return a.fail(what, "bookmark exists")
	}
	b := &Bookmark{Name: name, GUID: from.guid(), TXG: from.txg(), Creation: from.creation(), ds: to.ds}
	if from.snap != nil {
		b.Manifest = from.snap.Manifest
	} else {
		b.Manifest = from.mark.Manifest
	}
	to.ds.Marks = append(to.ds.Marks, b)
	slices.SortFunc(to.ds.Marks, func(x, y *Bookmark) int { return strings.Compare(x.Name, y.Name) })
	a.store.touch(to.ds.pool)
	if !a.commit() {
		return 1
	}
	return 0
}

// descends says whether d is a clone, of a clone …, of old.
func descends(d, old *Dataset) bool {
	for o := d.pool.snapByObj(d.Origin); o != nil; o = o.ds.pool.snapByObj(o.ds.Origin) {
		if o.ds == old {
			return true
		}
	}
	return false
}
