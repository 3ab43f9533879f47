package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

func zpoolCommands() map[string]command {
	return map[string]command{
		"create": zpoolCreate, "destroy": zpoolDestroy, "list": zpoolList, "get": zpoolGet, "set": zpoolSet,
		"status": zpoolStatus, "sync": zpoolSync, "export": zpoolExport, "import": zpoolImport, "version": cmdVersion,
	}
}

func zpoolCreate(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "fndB:R:m:o:O:t:")
	if !ok {
		return 2
	}
	p := &Pool{GUID: a.store.newGUID(), TXG: 4, NextObj: 50, Created: a.store.m.Now().Unix(), Props: map[string]string{}, Datasets: map[string]*Dataset{}}
	props := map[string]string{}
	for _, o := range opts {
		n, v, hasValue := splitProperty(o.arg)
		switch o.flag {
		case 'R':
			p.Altroot = strings.TrimSuffix(o.arg, "/")
		case 'm':
			props["mountpoint"] = o.arg
		case 'o', 'O':
			if !hasValue {
				return a.usageError("missing '=' for property=value argument")
			}
			if o.flag == 'O' {
				props[n] = v
			} else {
				p.Props[n] = v
			}
		}
	}
	switch {
	case len(rest) < 1:
		return a.usageError("missing pool name argument")
	case len(rest) < 2:
		return a.usageError("missing vdev specification")
	}
	p.Name = rest[0]
	what := fmt.Sprintf("cannot create '%s'", p.Name)
	if strings.Contains(p.Name, "/") {
		return a.fail(what, "invalid character '/' in pool name\nuse 'zfs create' to create a dataset")
	}
	if why := checkName(p.Name, kindFilesystem, true); why != "" {
		return a.fail(what, why)
	}
	if !a.begin(true) {
		return 1
	}
	if a.store.pools[p.Name] != nil {
		return a.fail(what, "pool already exists")
	}
	for _, v := range rest[1:] {
		if v == "mirror" || strings.HasPrefix(v, "raidz") {
			continue
		}
		size, err := a.store.m.FileSize(v)
		if err != nil {
			return a.failf("cannot resolve path '%s'", v)
		}
		for _, other := range a.store.pools {
			if slices.Contains(other.Vdevs, v) {
				hint := "use '-f' to override the following errors:"
				if slices.ContainsFunc(opts, func(o option) bool { return o.flag == 'f' }) {
					hint = "the following errors must be manually repaired:"
				}
				return a.failf("invalid vdev specification\n%s\n%s is part of active pool '%s'", hint, v, other.Name)
			}
		}
		if size < 64<<20 {
			return a.fail(what, "one or more devices is less than the minimum size (64M)")
		}
		p.Vdevs = append(p.Vdevs, v)
		p.Size += uint64(size)
	}
	if c := p.Name[0]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
		return a.fail(what, "name must begin with a letter")
	}
	checked, ok := a.checkProperties(what, props, kindFilesystem)
	if !ok {
		return 1
	}
	a.store.pools[p.Name] = p
	d := a.store.newDataset(p, p.Name, false)
	d.Local, d.Live = checked, true
	if !a.setupCrypt(d, nil, checked, what) || !a.makeLive(d) {
		return 1
	}
	if d.mountable() && !a.tryMount(d, false) {
		return 1
	}
	if !a.commit() {
		return 1
	}
	return 0
}

// openPool finds an imported pool.
func (a *app) openPool(name string) (*Pool, bool) {
	p := a.store.pools[name]
	if p == nil {
		a.fail(fmt.Sprintf("cannot open '%s'", name), "no such pool")
		return nil, false
	}
	return p, true
}

func zpoolDestroy(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "f")
	if !ok {
		return 2
	}
	if len(rest) != 1 {
		return a.usageError("missing pool argument")
	}
	if !a.begin(true) {
		return 1
	}
	p, ok := a.openPool(rest[0])
	if !ok {
		return 1
	}
	if !a.releasePool(p, len(opts) > 0, "destroy") {
		return 1
	}
	var errs []error
	for _, d := range p.Datasets {
		errs = append(errs, a.store.m.Files.Remove(a.store.keyFile(d.ID)), a.store.removeFolder(d))
	}
	if err := errors.Join(errors.Join(errs...), a.store.m.Files.Remove(a.store.poolFile("pools", p.Name)), a.store.m.Files.Remove(a.store.data(p))); err != nil {
		return a.failf("zfssim: %v", err)
	}
	return 0
}

func zpoolSet(a *app, args []string) int {
	if len(args) != 2 {
		return a.usageError("missing pool name")
	}
	n, v, ok := splitProperty(args[0])
	if !ok {
		return a.usageError("missing '=' for property=value argument")
	}
	if !a.begin(true) {
		return 1
	}
	p, ok := a.openPool(args[1])
	if !ok {
		return 1
	}
	if p.Props == nil {
		p.Props = map[string]string{}
	}
	p.Props[n] = v
	a.store.touch(p)
	if !a.commit() {
		return 1
	}
	return 0
}

func zpoolSync(a *app, args []string) int {
	if !a.begin(false) {
		return 1
	}
	for _, n := range args {
		if _, ok := a.openPool(n); !ok {
			return 1
		}
	}
	return 0
}
