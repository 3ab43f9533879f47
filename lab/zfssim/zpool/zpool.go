package zpool

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// Commands returns the commands of zpool by their names.
func Commands() map[string]app.Command {
	return map[string]app.Command{
		"create": zpoolCreate, "destroy": zpoolDestroy, "list": zpoolList, "get": zpoolGet, "set": zpoolSet,
		"status": zpoolStatus, "sync": zpoolSync, "export": zpoolExport, "import": zpoolImport, "version": app.Version,
	}
}

func zpoolCreate(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "fndB:R:m:o:O:t:")
	if !ok {
		return 2
	}
	p := &model.Pool{GUID: a.Store.NewGUID(), TXG: 4, NextObj: 50, Created: a.Store.M.Now().Unix(), Props: map[string]string{}, Datasets: map[string]*model.Dataset{}}
	props := map[string]string{}
	for _, o := range opts {
		n, v, hasValue := app.SplitProperty(o.Arg)
		switch o.Flag {
		case 'R':
			p.Altroot = strings.TrimSuffix(o.Arg, "/")
		case 'm':
			props["mountpoint"] = o.Arg
		case 'o', 'O':
			if !hasValue {
				return a.UsageError("missing '=' for property=value argument")
			}
			if o.Flag == 'O' {
				props[n] = v
			} else {
				p.Props[n] = v
			}
		}
	}
	switch {
	case len(rest) < 1:
		return a.UsageError("missing pool name argument")
	case len(rest) < 2:
		return a.UsageError("missing vdev specification")
	}
	p.Name = rest[0]
	what := fmt.Sprintf("cannot create '%s'", p.Name)
	if strings.Contains(p.Name, "/") {
		return a.Fail(what, "invalid character '/' in pool name\nuse 'zfs create' to create a dataset")
	}
	if why := model.CheckName(p.Name, model.KindFilesystem, true); why != "" {
		return a.Fail(what, why)
	}
	if !a.Begin(true) {
		return 1
	}
	if a.Store.Pools[p.Name] != nil {
		return a.Fail(what, "pool already exists")
	}
	for _, v := range rest[1:] {
		if v == "mirror" || strings.HasPrefix(v, "raidz") {
			continue
		}
		size, err := a.Store.M.FileSize(v)
		if err != nil {
			return a.Failf("cannot resolve path '%s'", v)
		}
		for _, other := range a.Store.Pools {
			if slices.Contains(other.Vdevs, v) {
				hint := "use '-f' to override the following errors:"
				if slices.ContainsFunc(opts, func(o app.Option) bool { return o.Flag == 'f' }) {
					hint = "the following errors must be manually repaired:"
				}
				return a.Failf("invalid vdev specification\n%s\n%s is part of active pool '%s'", hint, v, other.Name)
			}
		}
		if size < 64<<20 {
			return a.Fail(what, "one or more devices is less than the minimum size (64M)")
		}
		p.Vdevs = append(p.Vdevs, v)
		p.Size += uint64(size)
	}
	if c := p.Name[0]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
		return a.Fail(what, "name must begin with a letter")
	}
	checked, ok := a.CheckProperties(what, props, model.KindFilesystem)
	if !ok {
		return 1
	}
	a.Store.Pools[p.Name] = p
	d := a.Store.NewDataset(p, p.Name, false)
	d.Local, d.Live = checked, true
	if !a.SetupCrypt(d, nil, checked, what) || !a.MakeLive(d) {
		return 1
	}
	if d.Mountable() && !a.TryMount(d, false) {
		return 1
	}
	if !a.Commit() {
		return 1
	}
	return 0
}

// openPool finds an imported pool.
func openPool(a *app.App, name string) (*model.Pool, bool) {
	p := a.Store.Pools[name]
	if p == nil {
		a.Fail(fmt.Sprintf("cannot open '%s'", name), "no such pool")
		return nil, false
	}
	return p, true
}

func zpoolDestroy(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "f")
	if !ok {
		return 2
	}
	if len(rest) != 1 {
		return a.UsageError("missing pool argument")
	}
	if !a.Begin(true) {
		return 1
	}
	p, ok := openPool(a, rest[0])
	if !ok {
		return 1
	}
	if !releasePool(a, p, len(opts) > 0, "destroy") {
		return 1
	}
	var errs []error
	for _, d := range p.Datasets {
		errs = append(errs, a.Store.M.Files.Remove(a.Store.KeyFile(d.ID)), a.Store.RemoveFolder(d))
	}
	if err := errors.Join(errors.Join(errs...), a.Store.M.Files.Remove(a.Store.PoolFile("pools", p.Name)), a.Store.M.Files.Remove(a.Store.Data(p))); err != nil {
		return a.Failf("zfssim: %v", err)
	}
	return 0
}

func zpoolSet(a *app.App, args []string) int {
	if len(args) != 2 {
		return a.UsageError("missing pool name")
	}
	n, v, ok := app.SplitProperty(args[0])
	if !ok {
		return a.UsageError("missing '=' for property=value argument")
	}
	if !a.Begin(true) {
		return 1
	}
	p, ok := openPool(a, args[1])
	if !ok {
		return 1
	}
	if p.Props == nil {
		p.Props = map[string]string{}
	}
	p.Props[n] = v
	a.Store.Touch(p)
	if !a.Commit() {
		return 1
	}
	return 0
}

func zpoolSync(a *app.App, args []string) int {
	if !a.Begin(false) {
		return 1
	}
	for _, n := range args {
		if _, ok := openPool(a, n); !ok {
			return 1
		}
	}
	return 0
}
