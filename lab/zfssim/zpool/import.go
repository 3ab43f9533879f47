package zpool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// releasePool unmounts everything and takes the volumes away.
func releasePool(a *app.App, p *model.Pool, force bool, verb string) bool {
	if root := p.Datasets[p.Name]; root != nil {
		unmounted, ok := a.UnmountTree(root, force)
		a.Store.RemoveMountpoints(unmounted)
		if !ok {
			a.Failf("could not %s '%s': could not unmount datasets", verb, p.Name)
			return false
		}
	}
	for _, d := range p.Datasets {
		if a.Store.Receiving(d) {
			a.Fail(fmt.Sprintf("cannot %s '%s'", verb, p.Name), "pool is busy")
			return false
		}
		if d.Volume {
			a.Store.RemoveVolumeLink(d)
		}
	}
	return true
}

func zpoolExport(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "af")
	if !ok {
		return 2
	}
	if len(rest) < 1 {
		return a.UsageError("missing pool argument")
	}
	if !a.Begin(true) {
		return 1
	}
	for _, name := range rest {
		p, ok := openPool(a, name)
		if !ok {
			return 1
		}
		if !releasePool(a, p, slices.ContainsFunc(opts, func(o app.Option) bool { return o.Flag == 'f' }), "export") {
			return 1
		}
		for _, d := range p.Datasets {
			a.Store.M.Files.Remove(a.Store.KeyFile(d.ID)) // the kernel forgets keys
		}
		p.Altroot = ""
		if err := a.Store.SavePool(p, "exported"); err != nil {
			return a.Failf("zfssim: %v", err)
		}
		delete(a.Store.Pools, name)
		if err := a.Store.M.Files.Remove(a.Store.PoolFile("pools", name)); err != nil {
			return a.Failf("zfssim: %v", err)
		}
	}
	return 0
}

func zpoolImport(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "ad:fNo:R:c:ml")
	if !ok {
		return 2
	}
	all, noMount, altroot, keys := false, false, "", false
	for _, o := range opts {
		switch o.Flag {
		case 'a':
			all = true
		case 'N':
			noMount = true
		case 'R':
			altroot = strings.TrimSuffix(o.Arg, "/")
		case 'l':
			keys = true
		}
	}
	if !a.Begin(true) {
		return 1
	}
	files, err := a.Store.PoolFiles("exported")
	if err != nil {
		return a.Failf("zfssim: %v", err)
	}
	if len(rest) == 0 && !all {
		if len(files) == 0 {
			return a.Failf("no pools available to import")
		}
		for _, f := range files {
			p, err := a.Store.ReadPool(f)
			if err != nil {
				return a.Failf("zfssim: %v", err)
			}
			fmt.Fprintf(a.Out, "  pool: %s\n    id: %d\n state: ONLINE\naction: The pool can be imported using its name or numeric identifier.\n", p.Name, p.GUID)
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
		if code := importPool(a, name, to, altroot, noMount, keys); code != 0 {
			return code
		}
	}
	return 0
}

func importPool(a *app.App, name, to, altroot string, noMount, keys bool) int {
	file := a.Store.PoolFile("exported", name)
	p, err := a.Store.ReadPool(file)
	if errors.Is(err, fs.ErrNotExist) {
		if a.Store.Pools[name] != nil {
			return a.Fail(fmt.Sprintf("cannot import '%s'", name), "a pool with that name already exists\nuse the form 'zpool import <pool | id> <newpool>' to give it a new name")
		}
		return a.Fail(fmt.Sprintf("cannot import '%s'", name), "no such pool available")
	}
	if err != nil {
		return a.Failf("zfssim: %v", err)
	}
	p.Altroot = altroot
	if to != "" {
		moved := map[string]*model.Dataset{}
		for n, d := range p.Datasets {
			moved[to+strings.TrimPrefix(n, name)] = d
		}
		p.Name, p.Datasets = to, moved
		p.Link()
	}
	a.Store.Pools[p.Name] = p
	a.Store.Touch(p)
	ok := true
	for _, d := range p.Sorted() {
		if newest := d.Latest(); newest != nil && !d.Volume && a.Faults.Match("import", "claim", d.Name) != nil {
			d.Claimed = newest.GUID
		}
		if keys && d.Crypt != nil && d.Crypt.Root == d.ID && d.Local["keylocation"] != "prompt" {
			ok = a.LoadKey(d, "", false) == 0 && ok
		}
		if d.Volume {
			if err := a.Store.Restore(d); err != nil {
				return a.Failf("zfssim: %v", err)
			}
			if d.Live && a.Store.KeyLoaded(d) {
				if err := a.Store.LinkVolume(d); err != nil {
					return a.Failf("zfssim: %v", err)
				}
			}
		} else if !noMount && d.Mountable() && a.Store.KeyLoaded(d) {
			ok = a.TryMount(d, false) && ok
		}
	}
	if !a.Commit() {
		return 1
	}
	if err := a.Store.M.Files.Remove(file); err != nil {
		return a.Failf("zfssim: %v", err)
	}
	if !ok {
		return 1
	}
	return 0
}
