package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func cmdRename(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "pruf")
	if !ok {
		return 2
	}
	parents, recurse, noUnmount, force := false, false, false, false
	for _, o := range opts {
		switch o.Flag {
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
		return a.UsageError("missing source dataset argument")
	case len(rest) < 2:
		return a.UsageError("missing target dataset argument")
	case len(rest) > 2:
		return a.UsageError("too many arguments")
	case recurse && parents:
		return a.UsageError("-p and -r options are mutually exclusive")
	case noUnmount && parents:
		return a.UsageError("-u and -p options are mutually exclusive")
	case recurse && !strings.Contains(rest[0], "@"):
		return a.UsageError("source dataset for recursive rename must be a snapshot")
	}
	kinds := model.KindDataset
	if noUnmount {
		kinds = model.KindFilesystem
	} else if parents {
		kinds = model.FsVol
	}
	if !a.Begin(true) {
		return 1
	}
	o, ok := a.Open(rest[0], kinds)
	if !ok {
		return 1
	}
	if o.Snap != nil {
		return renameSnapshot(a, o, rest[1], recurse)
	}
	if parents && !a.CreateAncestors(rest[1]) {
		return 1
	}
	return renameDataset(a, o.DS, rest[1], noUnmount, force)
}

func renameSnapshot(a *app.App, o model.Object, to string, recurse bool) int {
	what := fmt.Sprintf("cannot rename to '%s'", to)
	if strings.HasPrefix(to, "@") {
		to = o.DS.Name + to
		what = fmt.Sprintf("cannot rename to '%s'", to)
	}
	ds, name, ok := strings.Cut(to, "@")
	if !ok {
		to, ds, name = o.DS.Name+"@"+to, o.DS.Name, to
		what = fmt.Sprintf("cannot rename to '%s'", to)
	}
	if ds != o.DS.Name {
		return a.Fail(what, "snapshots must be part of same dataset")
	}
	if why := model.CheckName(to, model.KindSnapshot, true); why != "" {
		return a.Fail(what, why)
	}
	all := []*model.Dataset{o.DS}
	if recurse {
		all = o.DS.Below()
	}
	for _, d := range all {
		if d.Snapshot(o.Snap.Name) != nil && d.Snapshot(name) != nil {
			if recurse {
				a.Fail(fmt.Sprintf("cannot rename '%s'", o.Snap.Full()), "a child dataset already has a snapshot with the new name")
				return 1
			}
			return a.Fail(fmt.Sprintf("cannot rename '%s'", o.Snap.Full()), "dataset already exists")
		}
	}
	old := o.Snap.Name
	for _, d := range all {
		if s := d.Snapshot(old); s != nil {
			s.Name = name
		}
	}
	a.Store.Touch(o.DS.Pool)
	if !a.Commit() {
		return 1
	}
	return 0
}

func renameDataset(a *app.App, d *model.Dataset, to string, noUnmount, force bool) int {
	what := fmt.Sprintf("cannot rename '%s'", d.Name)
	kind := model.KindFilesystem
	if d.Volume {
		kind = model.KindVolume
	}
	if d.Name == to {
		return 0
	}
	if why := model.CheckName(to, kind, true); why != "" {
		return a.Fail(fmt.Sprintf("cannot rename to '%s'", to), why)
	}
	parent, why := a.CheckParent(to)
	if why != "" {
		if why == "parent does not exist" {
			return a.Fail(fmt.Sprintf("cannot create '%s'", to), why)
		}
		return a.Fail(fmt.Sprintf("cannot create '%s'", to), why)
	}
	if parent.Pool != d.Pool {
		return a.Fail(fmt.Sprintf("cannot rename to '%s'", to), "datasets must be within same pool")
	}
	if d.Parent() == nil {
		return a.Fail(what, "invalid name")
	}
	if strings.HasPrefix(to, d.Name+"/") {
		return a.Fail(fmt.Sprintf("cannot rename to '%s'", to), "New dataset name cannot be a descendant of current dataset name")
	}
	if _, exists := a.Store.Find(to); exists {
		return a.Fail(what, "dataset already exists")
	}
	var unmounted []*model.Dataset
	if !noUnmount {
		var ok bool
		if unmounted, ok = a.UnmountTree(d, force); !ok {
			return 1
		}
	}
	a.Store.RemoveMountpoints(unmounted)
	oldName := d.Name
	p := d.Pool
	for _, e := range d.Below() {
		delete(p.Datasets, e.Name)
		was := e.Name
		e.Name = to + strings.TrimPrefix(e.Name, oldName)
		p.Datasets[e.Name] = e
		if e.Volume {
			if err := a.Store.M.Mounts.Unlink(was); err != nil {
				return a.Failf("zfssim: %v", err)
			}
			if e.Live {
				if err := a.Store.LinkVolume(e); err != nil {
					return a.Failf("zfssim: %v", err)
				}
			}
		}
	}
	a.Store.Touch(p)
	for _, e := range slices.Backward(unmounted) {
		if mp, _ := e.Mountpoint(); strings.HasPrefix(mp, "/") && e.Prop("canmount") != "off" {
			a.TryMount(e, true)
		}
	}
	if !a.Commit() {
		return 1
	}
	return 0
}
