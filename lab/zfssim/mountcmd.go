package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// tryMount mounts one filesystem and prints what prevents it; explicit is
// set when the user named it.
func (a *app) tryMount(d *Dataset, explicit bool) bool {
	what := fmt.Sprintf("cannot mount '%s'", d.Name)
	if d.Partial {
		if explicit {
			a.fail(what, `Contains partially-completed state from "zfs receive -s", which can be resumed with "zfs send -t"`)
		}
		return !explicit
	}
	if len(a.store.mountsOf(d)) > 0 {
		if explicit {
			a.fail(what, "filesystem already mounted")
			return false
		}
		return true
	}
	mp, _ := d.mountpoint()
	switch {
	case d.prop("canmount") == "off":
		if explicit {
			a.fail(what, "'canmount' property is set to 'off'")
		}
		return !explicit
	case mp == "none":
		if explicit {
			a.fail(what, "no mountpoint set")
		}
		return !explicit
	case mp == "legacy":
		if explicit {
			a.fail(what, "legacy mountpoint\nuse mount(8) to mount this filesystem")
		}
		return !explicit
	case d.prop("canmount") == "noauto" && !explicit:
		return true
	}
	if d.Crypt != nil && !a.store.keyLoaded(d) {
		if !explicit {
			what = fmt.Sprintf("cannot mount '%s'", mp)
		}
		a.fail(what, "encryption key not loaded")
		return false
	}
	if d.prop("overlay") == "off" {
		if !a.store.m.Mounts.Empty(mp) {
			a.fail(fmt.Sprintf("cannot mount '%s'", mp), "directory is not empty")
			return false
		}
	}
	if err := a.store.mount(d, false); err != nil {
		var mountpoint *MountpointError
		if errors.As(err, &mountpoint) {
			a.fail(fmt.Sprintf("cannot mount '%s'", mp), "failed to create mountpoint: "+strerror(mountpoint.Cause))
		} else {
			a.fail(what, strerror(err))
		}
		return false
	}
	return true
}

// unmountTree unmounts a filesystem and those below it, children first.
func (a *app) unmountTree(d *Dataset, force bool) ([]*Dataset, bool) {
	all := d.below()
	sort.Slice(all, func(i, j int) bool { return all[i].Name > all[j].Name })
	var done []*Dataset
	for _, e := range all {
		if len(a.store.mountsOf(e)) == 0 {
			continue
		}
		if path, err := a.store.unmount(e, force); err != nil {
			a.unmountFailed(path, err)
			for i := len(done) - 1; i >= 0; i-- {
				a.tryMount(done[i], true)
			}
			return nil, false
		}
		done = append(done, e)
	}
	return done, true
}

func (a *app) unmountFailed(path string, err error) {
	why := strerror(err)
	if errors.Is(err, syscall.EBUSY) {
		why = "pool or dataset is busy"
	}
	a.fail(fmt.Sprintf("cannot unmount '%s'", path), why)
}

func cmdMount(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "afo:lOvR")
	if !ok {
		return 2
	}
	all, load := false, false
	for _, o := range opts {
		switch o.flag {
		case 'a':
			all = true
		case 'l':
			load = true
		}
	}
	if !all && len(rest) == 0 {
		return a.printMounts()
	}
	if !a.begin(true) {
		return 1
	}
	if all {
		ok := true
		for _, name := range a.store.poolNames() {
			for _, d := range a.store.pools[name].sorted() {
				if !d.mountable() || d.Crypt != nil && !load && !a.store.keyLoaded(d) {
					continue
				}
				ok = a.tryMount(d, false) && ok
			}
		}
		if !a.commit() || !ok {
			return 1
		}
		return 0
	}
	if len(rest) > 1 {
		return a.usageError("too many arguments")
	}
	o, ok := a.open(rest[0], kindFilesystem)
	if !ok {
		return 1
	}
	if load && o.ds.Crypt != nil && !a.store.keyLoaded(o.ds) {
		if code := a.loadKey(a.store.encryptionRoot(o.ds), "", false); code != 0 {
			return code
		}
	}
	if a.faults.match("mount", "fail", o.ds.Name) != nil {
		return a.fail(fmt.Sprintf("cannot mount '%s'", o.ds.Name), "Input/output error")
	}
	if !a.tryMount(o.ds, true) {
		return 1
	}
	if !a.commit() {
		return 1
	}
	return 0
}

func (a *app) printMounts() int {
	if !a.begin(false) {
		return 1
	}
	table := a.store.m.Mounts.Table()
	for _, name := range a.store.poolNames() {
		for _, d := range a.store.pools[name].sorted() {
			for _, mp := range table[d.ID] {
				fmt.Fprintf(a.out, "%-30s  %s\n", d.Name, mp)
			}
		}
	}
	return 0
}

func cmdUnmount(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "afu")
	if !ok {
		return 2
	}
	all, force := false, false
	for _, o := range opts {
		switch o.flag {
		case 'a':
			all = true
		case 'f':
			force = true
		}
	}
	if !a.begin(true) {
		return 1
	}
	if all {
		ok := true
		for _, name := range a.store.poolNames() {
			if root := a.store.pools[name].Datasets[name]; root != nil {
				_, done := a.unmountTree(root, force)
				ok = ok && done
			}
		}
		if !ok {
			return 1
		}
		return 0
	}
	switch {
	case len(rest) == 0:
		return a.usageError("missing filesystem argument")
	case len(rest) > 1:
		return a.usageError("too many arguments")
	}
	d := a.datasetAt(rest[0])
	if d == nil {
		o, ok := a.open(rest[0], kindFilesystem)
		if !ok {
			return 1
		}
		d = o.ds
	}
	if len(a.store.mountsOf(d)) == 0 {
		if mp, _ := d.mountpoint(); mp == "legacy" {
			return a.fail(fmt.Sprintf("cannot unmount '%s'", d.Name), "legacy mountpoint\nuse umount(8) to unmount this filesystem")
		}
		return a.fail(fmt.Sprintf("cannot unmount '%s'", d.Name), "not currently mounted")
	}
	if _, ok := a.unmountTree(d, force); !ok {
		return 1
	}
	return 0
}

// datasetAt finds the filesystem mounted at a path.
func (a *app) datasetAt(path string) *Dataset {
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	path = filepath.Clean(path)
	for id, paths := range a.store.m.Mounts.Table() {
		for _, mp := range paths {
			if mp != path {
				continue
			}
			for _, p := range a.store.pools {
				for _, d := range p.Datasets {
					if d.ID == id {
						return d
					}
				}
			}
		}
	}
	return nil
}
