package command

import (
	"fmt"
	"slices"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func cmdClone(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "o:pu")
	if !ok {
		return 2
	}
	parents, noMount := false, false
	props := map[string]string{}
	for _, o := range opts {
		switch o.Flag {
		case 'p':
			parents = true
		case 'u':
			noMount = true
		case 'o':
			n, v, ok := app.SplitProperty(o.Arg)
			if !ok {
				return a.UsageError("missing '=' for property=value argument")
			}
			props[n] = v
		}
	}
	switch {
	case len(rest) < 1:
		return a.UsageError("missing source dataset argument")
	case len(rest) < 2:
		return a.UsageError("missing target dataset argument")
	case len(rest) > 2:
		return a.UsageError("too many arguments")
	}
	if !a.Begin(true) {
		return 1
	}
	o, ok := a.Open(rest[0], model.KindSnapshot)
	if !ok {
		return 1
	}
	name, src := rest[1], o.Snap
	what := fmt.Sprintf("cannot create '%s'", name)
	if why := model.CheckName(name, model.KindFilesystem, true); why != "" {
		return a.Fail(what, why)
	}
	if _, exists := a.Store.Find(name); exists {
		if parents {
			return 0
		}
		return a.Fail(what, "dataset already exists")
	}
	if parents && !a.CreateAncestors(name) {
		return 1
	}
	parent, why := a.CheckParent(name)
	if why != "" {
		return a.Fail(what, why)
	}
	if parent.Pool != src.DS.Pool {
		return a.Fail(what, "source and target pools differ")
	}
	kind := model.KindFilesystem
	if src.DS.Volume {
		kind = model.KindVolume
	}
	checked, ok := a.CheckProperties(what, props, kind)
	if !ok {
		return 1
	}
	d := a.Store.NewDataset(parent.Pool, name, src.DS.Volume)
	d.Local, d.Origin, d.Family, d.Base = checked, src.Obj, src.DS.Family, src.Manifest
	if src.DS.Crypt != nil {
		c := *src.DS.Crypt
		d.Crypt = &c
	}
	if d.Volume {
		d.Local["volsize"] = src.VolSize
		if b, ok := src.DS.Local["volblocksize"]; ok {
			d.Local["volblocksize"] = b
		}
		if err := a.Store.Restore(d); err != nil {
			return a.Failf("zfssim: %v", err)
		}
	}
	code := 0
	if !noMount && d.Mountable() && !a.TryMount(d, false) {
		fmt.Fprintln(a.Err, "filesystem successfully created, but not mounted")
		code = 1
	}
	if !a.Commit() {
		return 1
	}
	return code
}

func cmdPromote(a *app.App, args []string) int {
	_, rest, ok := a.ParseOptions(args, "")
	if !ok {
		return 2
	}
	switch {
	case len(rest) < 1:
		return a.UsageError("missing clone filesystem argument")
	case len(rest) > 1:
		return a.UsageError("too many arguments")
	}
	if !a.Begin(true) {
		return 1
	}
	o, ok := a.Open(rest[0], model.FsVol)
	if !ok {
		return 1
	}
	d := o.DS
	what := fmt.Sprintf("cannot promote '%s'", d.Name)
	origin := d.Pool.SnapByObj(d.Origin)
	if origin == nil {
		return a.Fail(what, "not a cloned filesystem")
	}
	old := origin.DS
	at := slices.Index(old.Snaps, origin)
	moved := slices.Clone(old.Snaps[:at+1])
	for _, s := range moved {
		if d.Snapshot(s.Name) != nil {
			return a.Fail(what, fmt.Sprintf("conflicting snapshot '%s' from parent '%s'", s.Name, origin.Full()))
		}
	}
	// The clone takes the history; the old dataset becomes a clone of it.
	old.Snaps = slices.Clone(old.Snaps[at+1:])
	d.Snaps = append(moved, d.Snaps...)
	d.Origin, old.Origin = old.Origin, origin.Obj
	d.Stored, old.Stored = d.Stored+old.Stored, 0
	for _, s := range moved {
		s.DS = d
	}
	for _, b := range old.Marks {
		if b.TXG <= origin.TXG {
			b.DS = d
			d.Marks = append(d.Marks, b)
		}
	}
	old.Marks = slices.DeleteFunc(old.Marks, func(b *model.Bookmark) bool { return b.DS == d })
	d.Pool.Origins = nil
	a.Store.Touch(d.Pool)
	if !a.Commit() {
		return 1
	}
	return 0
}
