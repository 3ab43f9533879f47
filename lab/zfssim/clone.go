package main

import (
	"fmt"
	"slices"
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
