package command

import (
	"fmt"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func cmdMount(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "afo:lOvR")
	if !ok {
		return 2
	}
	all, load := false, false
	for _, o := range opts {
		switch o.Flag {
		case 'a':
			all = true
		case 'l':
			load = true
		}
	}
	if !all && len(rest) == 0 {
		return printMounts(a)
	}
	if !a.Begin(true) {
		return 1
	}
	if all {
		ok := true
		for _, name := range a.Store.PoolNames() {
			for _, d := range a.Store.Pools[name].Sorted() {
				if !d.Mountable() || d.Crypt != nil && !load && !a.Store.KeyLoaded(d) {
					continue
				}
				ok = a.TryMount(d, false) && ok
			}
		}
		if !a.Commit() || !ok {
			return 1
		}
		return 0
	}
	if len(rest) > 1 {
		return a.UsageError("too many arguments")
	}
	o, ok := a.Open(rest[0], model.KindFilesystem)
	if !ok {
		return 1
	}
	if load && o.DS.Crypt != nil && !a.Store.KeyLoaded(o.DS) {
		if code := a.LoadKey(a.Store.EncryptionRoot(o.DS), "", false); code != 0 {
			return code
		}
	}
	if a.Faults.Match("mount", "fail", o.DS.Name) != nil {
		return a.Fail(fmt.Sprintf("cannot mount '%s'", o.DS.Name), "Input/output error")
	}
	if !a.TryMount(o.DS, true) {
		return 1
	}
	if !a.Commit() {
		return 1
	}
	return 0
}

func printMounts(a *app.App) int {
	if !a.Begin(false) {
		return 1
	}
	table := a.Store.M.Mounts.Table()
	for _, name := range a.Store.PoolNames() {
		for _, d := range a.Store.Pools[name].Sorted() {
			for _, mp := range table[d.ID] {
				fmt.Fprintf(a.Out, "%-30s  %s\n", d.Name, mp)
			}
		}
	}
	return 0
}

func cmdUnmount(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "afu")
	if !ok {
		return 2
	}
	all, force := false, false
	for _, o := range opts {
		switch o.Flag {
		case 'a':
			all = true
		case 'f':
			force = true
		}
	}
	if !a.Begin(true) {
		return 1
	}
	if all {
		ok := true
		for _, name := range a.Store.PoolNames() {
			if root := a.Store.Pools[name].Datasets[name]; root != nil {
				_, done := a.UnmountTree(root, force)
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
		return a.UsageError("missing filesystem argument")
	case len(rest) > 1:
		return a.UsageError("too many arguments")
	}
	d := a.DatasetAt(rest[0])
	if d == nil {
		o, ok := a.Open(rest[0], model.KindFilesystem)
		if !ok {
			return 1
		}
		d = o.DS
	}
	if len(a.Store.MountsOf(d)) == 0 {
		if mp, _ := d.Mountpoint(); mp == "legacy" {
			return a.Fail(fmt.Sprintf("cannot unmount '%s'", d.Name), "legacy mountpoint\nuse umount(8) to unmount this filesystem")
		}
		return a.Fail(fmt.Sprintf("cannot unmount '%s'", d.Name), "not currently mounted")
	}
	if _, ok := a.UnmountTree(d, force); !ok {
		return 1
	}
	return 0
}
