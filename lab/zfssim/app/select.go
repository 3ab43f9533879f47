package app

import (
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// PropertyList splits and checks a list of properties as -o takes it.
func (a *App) PropertyList(list string, table map[string]model.Property) ([]string, bool) {
	stats := model.KnownStats()
	var names []string
	for _, n := range strings.Split(list, ",") {
		c := model.Canonical(n)
		_, native := table[c]
		if !native && !stats[c] && !model.IsUserProperty(c) && !strings.HasPrefix(c, "written@") && !strings.HasPrefix(c, "written#") {
			if strings.TrimSpace(n) == "" {
				fmt.Fprintln(a.Err, "bad property list: invalid property ''")
			} else {
				fmt.Fprintf(a.Err, "bad property list: invalid property '%s'\n", n)
			}
			return nil, false
		}
		names = append(names, c)
	}
	return names, true
}

// ParseTypes reads the argument of -t.
func (a *App) ParseTypes(arg string) (kinds int, ok bool) {
	for _, t := range strings.Split(arg, ",") {
		switch t {
		case "filesystem", "fs":
			kinds |= model.KindFilesystem
		case "volume", "vol":
			kinds |= model.KindVolume
		case "snapshot", "snap":
			kinds |= model.KindSnapshot
		case "bookmark":
			kinds |= model.KindBookmark
		case "all":
			kinds |= model.KindDataset | model.KindBookmark
		default:
			a.UsageError("invalid type '%s'", t)
			return 0, false
		}
	}
	return kinds, true
}

// Selection says which objects a listing goes through.
type Selection struct {
	Kinds   int
	Recurse bool
	Depth   int // -1: no limit
}

// Collect gathers the objects that the arguments stand for, each once.
func (a *App) Collect(args []string, sel Selection) (objs []model.Object, ok bool) {
	ok = true
	seen := map[string]bool{}
	var children map[string][]*model.Dataset
	var walk func(o model.Object, depth int)
	add := func(o model.Object) {
		if o.Kind()&sel.Kinds != 0 && !seen[o.Name()] {
			seen[o.Name()] = true
			objs = append(objs, o)
		}
	}
	walk = func(o model.Object, depth int) {
		add(o)
		if o.Snap != nil || o.Mark != nil || !sel.Recurse || sel.Depth >= 0 && depth >= sel.Depth {
			return
		}
		for _, c := range children[o.DS.Name] {
			walk(model.Object{DS: c}, depth+1)
		}
		if sel.Kinds&model.KindSnapshot != 0 {
			for _, s := range o.DS.Snaps {
				add(model.Object{DS: o.DS, Snap: s})
			}
		}
		if sel.Kinds&model.KindBookmark != 0 {
			for _, b := range o.DS.Marks {
				add(model.Object{DS: o.DS, Mark: b})
			}
		}
	}
	children = map[string][]*model.Dataset{}
	for _, p := range a.Store.Pools {
		for _, d := range p.Datasets {
			if i := strings.LastIndexByte(d.Name, '/'); i >= 0 {
				children[d.Name[:i]] = append(children[d.Name[:i]], d)
			}
		}
	}
	if len(args) == 0 {
		sel.Recurse = true
		for _, n := range a.Store.PoolNames() {
			if root := a.Store.Pools[n].Datasets[n]; root != nil {
				walk(model.Object{DS: root}, 0)
			}
		}
		return objs, true
	}
	argKinds := sel.Kinds
	if sel.Recurse {
		argKinds |= model.KindFilesystem
		if sel.Kinds&(model.KindSnapshot|model.KindBookmark) != 0 {
			argKinds |= model.KindVolume
		}
	}
	for _, arg := range args {
		if strings.HasPrefix(arg, "/") {
			d := a.DatasetAt(arg)
			if d == nil {
				a.Failf("'%s': not a ZFS filesystem", arg)
				ok = false
				continue
			}
			walk(model.Object{DS: d}, 0)
			continue
		}
		o, found := a.Open(arg, argKinds)
		if !found {
			ok = false
			continue
		}
		walk(o, 0)
	}
	return objs, ok
}

// rightAligned tells the columns of numbers.
func rightAligned(n string) bool {
	switch n {
	case "used", "available", "referenced", "compressratio", "written", "guid", "createtxg", "objsetid", "userrefs",
		"numclones", "usedbydataset", "usedbysnapshots", "usedbychildren", "usedbyrefreservation", "quota", "refquota",
		"reservation", "refreservation", "volsize", "volblocksize", "recordsize", "logicalused", "logicalreferenced", "copies":
		return true
	}
	return false
}

func (a *App) PrintTable(rows [][]string, names []string) {
	width := make([]int, len(names))
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], len(c))
		}
	}
	for _, r := range rows {
		for i, c := range r {
			if i > 0 {
				fmt.Fprint(a.Out, "  ")
			}
			switch {
			case rightAligned(names[i]):
				fmt.Fprintf(a.Out, "%*s", width[i], c)
			case i == len(r)-1:
				fmt.Fprint(a.Out, c)
			default:
				fmt.Fprintf(a.Out, "%-*s", width[i], c)
			}
		}
		fmt.Fprintln(a.Out)
	}
}
