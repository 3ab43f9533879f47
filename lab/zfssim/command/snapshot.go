package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
)

func cmdSnapshot(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "ro:")
	if !ok {
		return 2
	}
	recurse := false
	props := map[string]string{}
	for _, o := range opts {
		switch o.Flag {
		case 'r':
			recurse = true
		case 'o':
			n, v, ok := app.SplitProperty(o.Arg)
			if !ok {
				return a.Failf("missing '=' for property=value argument")
			}
			props[n] = v
		}
	}
	if len(rest) == 0 {
		return a.UsageError("missing snapshot argument")
	}
	if !a.Begin(true) {
		return 1
	}
	var names []string // full names, as libzfs hands them to the kernel
	for _, r := range rest {
		ds, snap, ok := strings.Cut(r, "@")
		if !ok {
			return a.Usage()
		}
		o, ok := a.Open(ds, model.FsVol)
		if !ok {
			return a.Usage()
		}
		all := []*model.Dataset{o.DS}
		if recurse {
			all = o.DS.Below()
		}
		for _, d := range all {
			if (!d.Partial || d == o.DS) && !slices.Contains(names, d.Name+"@"+snap) {
				names = append(names, d.Name+"@"+snap)
			}
		}
	}
	code := takeSnapshots(a, names, props)
	if code != 0 {
		if len(rest) > 1 || recurse {
			fmt.Fprintln(a.Err, "no snapshots were created")
		}
		return code
	}
	if !a.Commit() {
		return 1
	}
	return 0
}

// takeSnapshots makes all the snapshots or none; it prints what prevents it.
func takeSnapshots(a *app.App, names []string, props map[string]string) int {
	for _, n := range names {
		if why := model.CheckName(n, model.KindSnapshot, true); why != "" {
			return a.Fail(fmt.Sprintf("cannot create snapshot '%s'", n), why)
		}
	}
	table := model.Settable()
	for _, n := range slices.Sorted(maps.Keys(props)) {
		if !model.IsUserProperty(n) {
			if _, ok := table[model.Canonical(n)]; ok {
				return a.Fail("cannot create snapshots ", "this property can not be modified for snapshots")
			}
			return a.Fail("cannot create snapshots ", fmt.Sprintf("invalid property '%s'", n))
		}
	}
	pool := ""
	seen := map[string]bool{}
	failed := false
	for _, n := range names {
		ds, snap, _ := strings.Cut(n, "@")
		p, _, _ := strings.Cut(ds, "/")
		if pool != "" && p != pool {
			return a.Fail("cannot create snapshots ", "multiple snapshots of same fs not allowed")
		}
		pool = p
		if seen[ds] {
			return a.Fail("cannot create snapshots ", "multiple snapshots of same fs not allowed")
		}
		seen[ds] = true
		d := a.Store.Pools[p].Datasets[ds]
		switch {
		case d.Snapshot(snap) != nil:
			a.Fail(fmt.Sprintf("cannot create snapshot '%s'", n), "dataset already exists")
			failed = true
		case d.Partial, a.Faults.Match("snapshot", "busy", ds) != nil:
			a.Fail(fmt.Sprintf("cannot create snapshot '%s'", n), "dataset is busy")
			failed = true
		case a.Faults.Match("snapshot", "nospace", ds) != nil:
			a.Fail(fmt.Sprintf("cannot create snapshot '%s'", n), "out of space")
			failed = true
		}
	}
	if failed || pool == "" {
		return 1
	}
	root := a.Store.Pools[pool].Datasets[pool]
	if store.NewView(a.Store, a.Err).Available(root) == 0 {
		return a.Fail("cannot create snapshots ", "out of space")
	}
	txg, now := a.Store.Pools[pool].NewTXG(), a.Store.M.Now().Unix()
	for _, n := range names {
		ds, snap, _ := strings.Cut(n, "@")
		if err := a.Store.TakeSnapshot(a.Store.Pools[pool].Datasets[ds], snap, txg, now, props); err != nil {
			return a.Failf("zfssim: %v", err)
		}
	}
	return 0
}

func cmdBookmark(a *app.App, args []string) int {
	_, rest, ok := a.ParseOptions(args, "")
	if !ok {
		return 2
	}
	switch len(rest) {
	case 0:
		return a.UsageError("missing source argument")
	case 1:
		return a.UsageError("missing bookmark argument")
	}
	src, mark := rest[0], rest[1]
	if !strings.ContainsAny(src, "@#") {
		return a.UsageError("invalid source name '%s': must contain a '@' or '#'", src)
	}
	if !strings.Contains(mark, "#") {
		return a.UsageError("invalid bookmark name '%s': must contain a '#'", mark)
	}
	shortSrc, shortMark := strings.IndexAny(src, "@#") == 0, mark[0] == '#'
	switch {
	case shortSrc && shortMark:
		fmt.Fprint(a.Err, "either source or bookmark must be specified as full dataset paths")
		return a.Usage()
	case shortSrc:
		src = mark[:strings.IndexByte(mark, '#')] + src
	case shortMark:
		mark = src[:strings.IndexAny(src, "@#")] + mark
	}
	kind := model.KindSnapshot
	if src[strings.IndexAny(src, "@#")] == '#' {
		kind = model.KindBookmark
	}
	if !a.Begin(true) {
		return 1
	}
	from, ok := a.Open(src, kind)
	if !ok {
		return a.Usage()
	}
	what := fmt.Sprintf("cannot create bookmark '%s'", mark)
	dsName, name, _ := strings.Cut(mark, "#")
	if model.CheckName(mark, model.KindBookmark, true) != "" {
		return a.Fail(what, "invalid argument")
	}
	pool, _, _ := strings.Cut(dsName, "/")
	if pool != from.DS.Pool.Name {
		return a.Fail(what, "bookmark is in a different pool")
	}
	to, ok := a.Store.Find(dsName)
	if !ok {
		return a.Fail(what, "dataset does not exist")
	}
	if to.DS != from.DS && !model.Descends(to.DS, from.DS) {
		return a.Fail(what, "source is not an ancestor of the new bookmark's dataset")
	}
	if have := to.DS.Bookmark(name); have != nil {
		return a.Fail(what, "bookmark exists")
	}
	b := &model.Bookmark{Name: name, GUID: from.Guid(), TXG: from.Txg(), Creation: from.Creation(), DS: to.DS}
	if from.Snap != nil {
		b.Manifest = from.Snap.Manifest
	} else {
		b.Manifest = from.Mark.Manifest
	}
	to.DS.Marks = append(to.DS.Marks, b)
	slices.SortFunc(to.DS.Marks, func(x, y *model.Bookmark) int { return strings.Compare(x.Name, y.Name) })
	a.Store.Touch(to.DS.Pool)
	if !a.Commit() {
		return 1
	}
	return 0
}
