package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// releasePool unmounts everything and takes the volumes away.
func (a *app) releasePool(p *Pool, force bool, verb string) bool {
	if root := p.Datasets[p.Name]; root != nil {
		unmounted, ok := a.unmountTree(root, force)
		a.store.removeMountpoints(unmounted)
		if !ok {
			a.failf("could not %s '%s': could not unmount datasets", verb, p.Name)
			return false
		}
	}
	for _, d := range p.Datasets {
		if a.store.receiving(d) {
			a.fail(fmt.Sprintf("cannot %s '%s'", verb, p.Name), "pool is busy")
			return false
		}
		if d.Volume {
			a.store.removeVolumeLink(d)
		}
	}
	return true
}

func zpoolExport(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "af")
	if !ok {
		return 2
	}
	if len(rest) < 1 {
		return a.usageError("missing pool argument")
	}
	if !a.begin(true) {
		return 1
	}
	for _, name := range rest {
		p, ok := a.openPool(name)
		if !ok {
			return 1
		}
		if !a.releasePool(p, slices.ContainsFunc(opts, func(o option) bool { return o.flag == 'f' }), "export") {
			return 1
		}
		for _, d := range p.Datasets {
			a.store.m.Files.Remove(a.store.keyFile(d.ID)) // the kernel forgets keys
		}
		p.Altroot = ""
		if err := a.store.savePool(p, "exported"); err != nil {
			return a.failf("zfssim: %v", err)
		}
		delete(a.store.pools, name)
		if err := a.store.m.Files.Remove(a.store.poolFile("pools", name)); err != nil {
			return a.failf("zfssim: %v", err)
		}
	}
	return 0
}

func zpoolImport(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "ad:fNo:R:c:ml")
	if !ok {
		return 2
	}
	all, noMount, altroot, keys := false, false, "", false
	for _, o := range opts {
		switch o.flag {
		case 'a':
			all = true
		case 'N':
			noMount = true
		case 'R':
			altroot = strings.TrimSuffix(o.arg, "/")
		case 'l':
			keys = true
		}
	}
	if !a.begin(true) {
		return 1
	}
	files, err := a.store.poolFiles("exported")
	if err != nil {
		return a.failf("zfssim: %v", err)
	}
	if len(rest) == 0 && !all {
		if len(files) == 0 {
			return a.failf("no pools available to import")
		}
		for _, f := range files {
			p, err := a.store.readPool(f)
			if err != nil {
				return a.failf("zfssim: %v", err)
			}
			fmt.Fprintf(a.out, "  pool: %s\n    id: %d\n state: ONLINE\naction: The pool can be imported using its name or numeric identifier.\n", p.Name, p.GUID)
		}
		return 0
	}
	names := rest
	if all {
		names = nil
		for _, f := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
		}
	}
	to := ""
	if !all && len(rest) > 1 {
		names, to = rest[:1], rest[1]
	}
	for _, name := range names {
		if code := a.importPool(name, to, altroot, noMount, keys); code != 0 {
			return code
		}
	}
	return 0
}

func (a *app) importPool(name, to, altroot string, noMount, keys bool) int {
	file := a.store.poolFile("exported", name)
	p, err := a.store.readPool(file)
	if errors.Is(err, fs.ErrNotExist) {
		if a.store.pools[name] != nil {
			return a.fail(fmt.Sprintf("cannot import '%s'", name), "a pool with that name already exists\nuse the form 'zpool import <pool | id> <newpool>' to give it a new name")
		}
		return a.fail(fmt.Sprintf("cannot import '%s'", name), "no such pool available")
	}
	if err != nil {
		return a.failf("zfssim: %v", err)
	}
	p.Altroot = altroot
	if to != "" {
		moved := map[string]*Dataset{}
		for n, d := range p.Datasets {
			moved[to+strings.TrimPrefix(n, name)] = d
		}
		p.Name, p.Datasets = to, moved
		p.link()
	}
	a.store.pools[p.Name] = p
	a.store.touch(p)
	ok := true
	for _, d := range p.sorted() {
		if newest := d.latest(); newest != nil && !d.Volume && a.faults.match("import", "claim", d.Name) != nil {
			d.Claimed = newest.GUID
		}
		if keys && d.Crypt != nil && d.Crypt.Root == d.ID && d.Local["keylocation"] != "prompt" {
			ok = a.loadKey(d, "", false) == 0 && ok
		}
		if d.Volume {
			if err := a.store.restore(d); err != nil {
				return a.failf("zfssim: %v", err)
			}
			if d.Live && a.store.keyLoaded(d) {
				if err := a.store.linkVolume(d); err != nil {
					return a.failf("zfssim: %v", err)
				}
			}
		} else if !noMount && d.mountable() && a.store.keyLoaded(d) {
			ok = a.tryMount(d, false) && ok
		}
	}
	if !a.commit() {
		return 1
	}
	if err := a.store.m.Files.Remove(file); err != nil {
		return a.failf("zfssim: %v", err)
	}
	if !ok {
		return 1
	}
	return 0
}
