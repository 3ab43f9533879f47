package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

func cmdClone(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "o:pu")
	if !ok {
		return 2
	}
	parents, noMount := false, false
	props := map[string]string{}
	for _, o := range opts {
		switch o.flag {
		case 'p':
			parents = true
		case 'u':
			noMount = true
		case 'o':
			n, v, ok := splitProperty(o.arg)
			if !ok {
				return a.usageError("missing '=' for property=value argument")
			}
			props[n] = v
		}
	}
	switch {
	case len(rest) < 1:
		return a.usageError("missing source dataset argument")
	case len(rest) < 2:
		return a.usageError("missing target dataset argument")
	case len(rest) > 2:
		return a.usageError("too many arguments")
	}
	if !a.begin(true) {
		return 1
	}
	o, ok := a.open(rest[0], kindSnapshot)
	if !ok {
		return 1
	}
	name, src := rest[1], o.snap
	what := fmt.Sprintf("cannot create '%s'", name)
	if why := checkName(name, kindFilesystem, true); why != "" {
		return a.fail(what, why)
	}
	if _, exists := a.store.find(name); exists {
		if parents {
			return 0
		}
		return a.fail(what, "dataset already exists")
	}
	if parents && !a.createAncestors(name) {
		return 1
	}
	parent, why := a.checkParent(name)
	if why != "" {
		return a.fail(what, why)
	}
	if parent.pool != src.ds.pool {
		return a.fail(what, "source and target pools differ")
	}
	kind := kindFilesystem
	if src.ds.Volume {
		kind = kindVolume
	}
	checked, ok := a.checkProperties(what, props, kind)
	if !ok {
		return 1
	}
	d := a.store.newDataset(parent.pool, name, src.ds.Volume)
	d.Local, d.Origin, d.Family, d.Base = checked, src.Obj, src.ds.Family, src.Manifest
	if src.ds.Crypt != nil {
		c := *src.ds.Crypt
		d.Crypt = &c
	}
	if d.Volume {
		d.Local["volsize"] = src.VolSize
		if b, ok := src.ds.Local["volblocksize"]; ok {
			d.Local["volblocksize"] = b
		}
		if err := a.store.restore(d); err != nil {
			return a.failf("zfssim: %v", err)
		}
	}
	code := 0
	if !noMount && d.mountable() && !a.tryMount(d, false) {
		fmt.Fprintln(a.err, "filesystem successfully created, but not mounted")
		code = 1
	}
	if !a.commit() {
		return 1
	}
	return code
}

func cmdPromote(a *app, args []string) int {
	_, rest, ok := a.parseOptions(args, "")
	if !ok {
		return 2
	}
	switch {
	case len(rest) < 1:
		return a.usageError("missing clone filesystem argument")
	case len(rest) > 1:
		return a.usageError("too many arguments")
	}
	if !a.begin(true) {
		return 1
	}
	o, ok := a.open(rest[0], fsVol)
	if !ok {
		return 1
	}
	d := o.ds
	what := fmt.Sprintf("cannot promote '%s'", d.Name)
	origin := d.pool.snapByObj(d.Origin)
	if origin == nil {
		return a.fail(what, "not a cloned filesystem")
	}
	old := origin.ds
	at := slices.Index(old.Snaps, origin)
	moved := slices.Clone(old.Snaps[:at+1])
	for _, s := range moved {
		if d.snapshot(s.Name) != nil {
			return a.fail(what, fmt.Sprintf("conflicting snapshot '%s' from parent '%s'", s.Name, origin.full()))
		}
	}
	// The clone takes the history; the old dataset becomes a clone of it.
	old.Snaps = slices.Clone(old.Snaps[at+1:])
	d.Snaps = append(moved, d.Snaps...)
	d.Origin, old.Origin = old.Origin, origin.Obj
	d.Stored, old.Stored = d.Stored+old.Stored, 0
	for _, s := range moved {
		s.ds = d
	}
	for _, b := range old.Marks {
		if b.TXG <= origin.TXG {
			b.ds = d
			d.Marks = append(d.Marks, b)
		}
	}
	old.Marks = slices.DeleteFunc(old.Marks, func(b *Bookmark) bool { return b.ds == d })
	d.pool.origins = nil
	a.store.touch(d.pool)
	if !a.commit() {
		return 1
	}
	return 0
}

func cmdRename(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "pruf")
	if !ok {
		return 2
	}
	parents, recurse, noUnmount, force := false, false, false, false
	for _, o := range opts {
		switch o.flag {
		case 'p':
			parents = true
		case 'r':
			recurse = true
		case 'u':
			noUnmount = true
		case 'f':
			force = true
		}
	}
	switch {
	case len(rest) < 1:
		return a.usageError("missing source dataset argument")
	case len(rest) < 2:
		return a.usageError("missing target dataset argument")
	case len(rest) > 2:
		return a.usageError("too many arguments")
	case recurse && parents:
		return a.usageError("-p and -r options are mutually exclusive")
	case noUnmount && parents:
		return a.usageError("-u and -p options are mutually exclusive")
	case recurse && !strings.Contains(rest[0], "@"):
		return a.usageError("source dataset for recursive rename must be a snapshot")
	}
	kinds := kindDataset
	if noUnmount {
		kinds = kindFilesystem
	} else if parents {
		kinds = fsVol
	}
	if !a.begin(true) {
		return 1
	}
	o, ok := a.open(rest[0], kinds)
	if !ok {
		return 1
	}
	if o.snap != nil {
		return a.renameSnapshot(o, rest[1], recurse)
	}
	if parents && !a.createAncestors(rest[1]) {
		return 1
	}
	return a.renameDataset(o.ds, rest[1], noUnmount, force)
}

func (a *app) renameSnapshot(o object, to string, recurse bool) int {
	what := fmt.Sprintf("cannot rename to '%s'", to)
	if strings.HasPrefix(to, "@") {
		to = o.ds.Name + to
		what = fmt.Sprintf("cannot rename to '%s'", to)
	}
	ds, name, ok := strings.Cut(to, "@")
	if !ok {
		to, ds, name = o.ds.Name+"@"+to, o.ds.Name, to
		what = fmt.Sprintf("cannot rename to '%s'", to)
	}
	if ds != o.ds.Name {
		return a.fail(what, "snapshots must be part of same dataset")
	}
	if why := checkName(to, kindSnapshot, true); why != "" {
		return a.fail(what, why)
	}
	all := []*Dataset{o.ds}
	if recurse {
		all = o.ds.below()
	}
	for _, d := range all {
		if d.snapshot(o.snap.Name) != nil && d.snapshot(name) != nil {
			if recurse {
				a.fail(fmt.Sprintf("cannot rename '%s'", o.snap.full()), "a child dataset already has a snapshot with the new name")
				return 1
			}
			return a.fail(fmt.Sprintf("cannot rename '%s'", o.snap.full()), "dataset already exists")
		}
	}
	old := o.snap.Name
	for _, d := range all {
		if s := d.snapshot(old); s != nil {
			s.Name = name
		}
	}
	a.store.touch(o.ds.pool)
	if !a.commit() {
		return 1
	}
	return 0
}

func (a *app) renameDataset(d *Dataset, to string, noUnmount, force bool) int {
	what := fmt.Sprintf("cannot rename '%s'", d.Name)
	kind := kindFilesystem
	if d.Volume {
		kind = kindVolume
	}
	if d.Name == to {
		return 0
	}
	if why := checkName(to, kind, true); why != "" {
		return a.fail(fmt.Sprintf("cannot rename to '%s'", to), why)
	}
	parent, why := a.checkParent(to)
	if why != "" {
		if why == "parent does not exist" {
			return a.fail(fmt.Sprintf("cannot create '%s'", to), why)
		}
		return a.fail(fmt.Sprintf("cannot create '%s'", to), why)
	}
	if parent.pool != d.pool {
		return a.fail(fmt.Sprintf("cannot rename to '%s'", to), "datasets must be within same pool")
	}
	if d.parent() == nil {
		return a.fail(what, "invalid name")
	}
	if strings.HasPrefix(to, d.Name+"/") {
		return a.fail(fmt.Sprintf("cannot rename to '%s'", to), "New dataset name cannot be a descendant of current dataset name")
	}
	if _, exists := a.store.find(to); exists {
		return a.fail(what, "dataset already exists")
	}
	var unmounted []*Dataset
	if !noUnmount {
		var ok bool
		if unmounted, ok = a.unmountTree(d, force); !ok {
			return 1
		}
	}
	oldName := d.Name
	p := d.pool
	for _, e := range d.below() {
		delete(p.Datasets, e.Name)
		was := e.Name
		e.Name = to + strings.TrimPrefix(e.Name, oldName)
		p.Datasets[e.Name] = e
		if e.Volume {
			if err := a.store.removeLinkName(was); err != nil {
				return a.failf("zfssim: %v", err)
			}
			if e.Live {
				if err := a.store.linkVolume(e); err != nil {
					return a.failf("zfssim: %v", err)
				}
			}
		}
	}
	a.store.touch(p)
	for _, e := range slices.Backward(unmounted) {
		if mp, _ := e.mountpoint(); strings.HasPrefix(mp, "/") && e.prop("canmount") != "off" {
			a.tryMount(e, true)
		}
	}
	if !a.commit() {
		return 1
	}
	return 0
}

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

func cmdDiff(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "FHth")
	if !ok {
		return 2
	}
	kinds := false
	for _, o := range opts {
		kinds = kinds || o.flag == 'F'
	}
	if len(rest) < 1 {
		return a.usageError("must provide at least one snapshot name")
	}
	if len(rest) > 2 {
		return a.usageError("too many arguments")
	}
	if !a.begin(false) {
		return 1
	}
	from, ok := a.open(rest[0], kindSnapshot)
	if !ok {
		return 1
	}
	to := object{ds: from.ds}
	if len(rest) == 2 {
		name := rest[1]
		if strings.HasPrefix(name, "@") {
			name = from.ds.Name + name
		}
		if to, ok = a.open(name, kindDataset); !ok {
			return 1
		}
	}
	old, err := a.store.manifest(from.ds.pool, from.snap.Manifest)
	if err != nil {
		return a.failf("zfssim: %v", err)
	}
	var cur manifest
	if to.snap != nil {
		cur, err = a.store.manifest(to.ds.pool, to.snap.Manifest)
	} else {
		cur, err = a.store.liveState(to.ds)
	}
	if err != nil {
		return a.failf("zfssim: %v", err)
	}
	mp, _ := to.ds.mountpoint()
	before, after := old.byPath(), cur.byPath()
	say := func(mark string, e *entry) {
		path := strings.TrimSuffix(mp+"/"+escapePath(string(e.Path)), "/")
		if len(e.Path) == 0 {
			path = mp + "/"
		}
		if kinds {
			fmt.Fprintf(a.out, "%s\t%s\t%s\n", mark, fileKind(e), path)
		} else {
			fmt.Fprintf(a.out, "%s\t%s\n", mark, path)
		}
	}
	for _, e := range cur {
		if o := before[string(e.Path)]; o == nil {
			say("+", e)
		} else if !o.same(e) {
			say("M", e)
		}
	}
	for _, e := range old {
		if after[string(e.Path)] == nil {
			say("-", e)
		}
	}
	return 0
}

// liveState is the state of a live folder with the names of its chunks; the
// contents of changed files are given names that match nothing.
func (s *store) liveState(d *Dataset) (manifest, error) {
	if !d.Live {
		return s.manifest(d.pool, d.Base)
	}
	idx, err := s.index(d)
	if err != nil {
		return nil, err
	}
	known := idx.byPath()
	m, err := scan(s.liveDir(d))
	if err != nil {
		return nil, err
	}
	for _, e := range m {
		if k := known[string(e.Path)]; k != nil && k.unchanged(e) {
			e.Chunks = k.Chunks
		} else {
			e.Chunks = []string{"?"}
		}
	}
	return m, nil
}

func fileKind(e *entry) string {
	switch os.FileMode(e.Mode & 0o170000) {
	case 0o040000:
		return "/"
	case 0o120000:
		return "@"
	case 0o010000:
		return "|"
	case 0o140000:
		return "="
	case 0o060000:
		return "B"
	case 0o020000:
		return "C"
	}
	return "F"
}

// escapePath writes odd bytes in octal, as zfs diff does.
func escapePath(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c > ' ' && c != '\\' && c < 0x7f {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "\\%04o", c)
		}
	}
	return b.String()
}
