package main

import (
	"fmt"
	"slices"
	"strings"
)

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
	a.store.removeMountpoints(unmounted)
	oldName := d.Name
	p := d.pool
	for _, e := range d.below() {
		delete(p.Datasets, e.Name)
		was := e.Name
		e.Name = to + strings.TrimPrefix(e.Name, oldName)
		p.Datasets[e.Name] = e
		if e.Volume {
			if err := a.store.m.Mounts.Unlink(was); err != nil {
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
