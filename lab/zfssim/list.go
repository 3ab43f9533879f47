package main

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// knownStats are the properties that are computed and not set.
func knownStats() map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields("name type creation used available referenced compressratio refcompressratio mounted " +
		"usedbydataset usedbysnapshots usedbychildren usedbyrefreservation logicalused logicalreferenced written guid createtxg " +
		"objsetid encryptionroot keystatus origin clones userrefs numclones inconsistent redacted receive_resume_token " +
		"defer_destroy snapshots_changed") {
		m[n] = true
	}
	return m
}

// propertyList splits and checks a list of properties as -o takes it.
func (a *app) propertyList(list string, table map[string]property) ([]string, bool) {
	stats := knownStats()
	var names []string
	for _, n := range strings.Split(list, ",") {
		c := canonical(n)
		_, native := table[c]
		if !native && !stats[c] && !isUserProperty(c) && !strings.HasPrefix(c, "written@") && !strings.HasPrefix(c, "written#") {
			if strings.TrimSpace(n) == "" {
				fmt.Fprintln(a.err, "bad property list: invalid property ''")
			} else {
				fmt.Fprintf(a.err, "bad property list: invalid property '%s'\n", n)
			}
			return nil, false
		}
		names = append(names, c)
	}
	return names, true
}

// parseTypes reads the argument of -t.
func (a *app) parseTypes(arg string) (kinds int, ok bool) {
	for _, t := range strings.Split(arg, ",") {
		switch t {
		case "filesystem", "fs":
			kinds |= kindFilesystem
		case "volume", "vol":
			kinds |= kindVolume
		case "snapshot", "snap":
			kinds |= kindSnapshot
		case "bookmark":
			kinds |= kindBookmark
		case "all":
			kinds |= kindDataset | kindBookmark
		default:
			a.usageError("invalid type '%s'", t)
			return 0, false
		}
	}
	return kinds, true
}

// sortKey is one -s or -S of a listing.
type sortKey struct {
	name    string
	reverse bool
}

// selection says which objects a listing goes through.
type selection struct {
	kinds   int
	recurse bool
	depth   int // -1: no limit
}

// collect gathers the objects that the arguments stand for, each once.
func (a *app) collect(args []string, sel selection) (objs []object, ok bool) {
	ok = true
	seen := map[string]bool{}
	var children map[string][]*Dataset
	var walk func(o object, depth int)
	add := func(o object) {
		if o.kind()&sel.kinds != 0 && !seen[o.name()] {
			seen[o.name()] = true
			objs = append(objs, o)
		}
	}
	walk = func(o object, depth int) {
		add(o)
		if o.snap != nil || o.mark != nil || !sel.recurse || sel.depth >= 0 && depth >= sel.depth {
			return
		}
		for _, c := range children[o.ds.Name] {
			walk(object{ds: c}, depth+1)
		}
		if sel.kinds&kindSnapshot != 0 {
			for _, s := range o.ds.Snaps {
				add(object{ds: o.ds, snap: s})
			}
		}
		if sel.kinds&kindBookmark != 0 {
			for _, b := range o.ds.Marks {
				add(object{ds: o.ds, mark: b})
			}
		}
	}
	children = map[string][]*Dataset{}
	for _, p := range a.store.pools {
		for _, d := range p.Datasets {
			if i := strings.LastIndexByte(d.Name, '/'); i >= 0 {
				children[d.Name[:i]] = append(children[d.Name[:i]], d)
			}
		}
	}
	if len(args) == 0 {
		sel.recurse = true
		for _, n := range a.store.poolNames() {
			if root := a.store.pools[n].Datasets[n]; root != nil {
				walk(object{ds: root}, 0)
			}
		}
		return objs, true
	}
	argKinds := sel.kinds
	if sel.recurse {
		argKinds |= kindFilesystem
		if sel.kinds&(kindSnapshot|kindBookmark) != 0 {
			argKinds |= kindVolume
		}
	}
	for _, arg := range args {
		if strings.HasPrefix(arg, "/") {
			d := a.datasetAt(arg)
			if d == nil {
				a.failf("'%s': not a ZFS filesystem", arg)
				ok = false
				continue
			}
			walk(object{ds: d}, 0)
			continue
		}
		o, found := a.open(arg, argKinds)
		if !found {
			ok = false
			continue
		}
		walk(o, 0)
	}
	return objs, ok
}

// less is the order of a listing: by name, snapshots behind their dataset in
// the order in which they were made, bookmarks behind them.
func less(a, b object) bool {
	an, bn := a.ds.Name, b.ds.Name
	if a.mark != nil {
		an += "#" + a.mark.Name
	}
	if b.mark != nil {
		bn += "#" + b.mark.Name
	}
	if an != bn {
		return an < bn
	}
	if a.snap == nil || b.snap == nil {
		return a.snap == nil && b.snap != nil
	}
	return a.snap.TXG < b.snap.TXG
}

func (v *view) sort(objs []object, keys []sortKey) {
	sort.SliceStable(objs, func(i, j int) bool {
		for _, k := range keys {
			x, _, okx := v.value(objs[i], k.name, true)
			y, _, oky := v.value(objs[j], k.name, true)
			if !okx && !oky {
				continue
			}
			if okx != oky {
				return okx
			}
			c := compareValues(x, y)
			if c == 0 {
				continue
			}
			if k.reverse {
				c = -c
			}
			return c < 0
		}
		return less(objs[i], objs[j])
	})
}

func compareValues(x, y string) int {
	m, errx := strconv.ParseUint(x, 10, 64)
	n, erry := strconv.ParseUint(y, 10, 64)
	if errx == nil && erry == nil {
		switch {
		case m < n:
			return -1
		case m > n:
			return 1
		}
		return 0
	}
	return strings.Compare(x, y)
}

func cmdList(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "jHS:d:o:prs:t:")
	if !ok {
		return 2
	}
	fields := "name,used,available,referenced,mountpoint"
	scripted, literal, typed := false, false, false
	sel := selection{kinds: kindFilesystem | kindVolume, depth: -1}
	var keys []sortKey
	for _, o := range opts {
		switch o.flag {
		case 'o':
			fields = o.arg
		case 'p':
			literal = true
		case 'H':
			scripted = true
		case 'r':
			sel.recurse = true
		case 'd':
			n, err := strconv.Atoi(o.arg)
			if err != nil || n < 0 {
				return a.usageError("%s is not an integer", o.arg)
			}
			sel.depth, sel.recurse = n, true
		case 's', 'S':
			keys = append(keys, sortKey{canonical(o.arg), o.flag == 'S'})
		case 't':
			typed = true
			if sel.kinds, ok = a.parseTypes(o.arg); !ok {
				return 2
			}
		case 'j':
			return a.failf("zfssim: list -j is not simulated")
		}
	}
	if !typed && len(rest) > 0 { // a snapshot that is named is shown without -t too
		for _, r := range rest {
			if strings.Contains(r, "@") {
				sel.kinds |= kindSnapshot
			}
		}
	}
	if (sel.kinds == kindSnapshot || sel.kinds == kindBookmark) && len(rest) > 0 && !sel.recurse && sel.depth < 0 {
		sel.recurse, sel.depth = true, 1
	}
	v := newView(a.store, a.err)
	names, ok := a.propertyList(strings.Replace(fields, "space", "name,available,used,usedbysnapshots,usedbydataset,usedbyrefreservation,usedbychildren", 1), v.table)
	if !ok {
		return a.usage()
	}
	if !a.begin(false) {
		return 1
	}
	if !typed && len(rest) > 0 && sel.recurse {
		sel.kinds = kindFilesystem | kindVolume
	}
	objs, ok := a.collect(rest, sel)
	v.sort(objs, keys)
	rows := make([][]string, 0, len(objs)+1)
	if !scripted {
		head := make([]string, len(names))
		for i, n := range names {
			head[i] = columnName(n)
		}
		rows = append(rows, head)
	}
	for _, o := range objs {
		row := make([]string, len(names))
		for i, n := range names {
			val, _, has := v.value(o, n, literal)
			if !has {
				val = "-"
			}
			row[i] = val
		}
		rows = append(rows, row)
	}
	if scripted {
		for _, r := range rows {
			fmt.Fprintln(a.out, strings.Join(r, "\t"))
		}
	} else if len(objs) > 0 {
		a.printTable(rows, names)
	} else if ok {
		fmt.Fprintln(a.err, "no datasets available")
	}
	if !ok {
		return 1
	}
	return 0
}

// columnName is the heading of a property.
func columnName(n string) string {
	short := map[string]string{"available": "AVAIL", "referenced": "REFER", "compression": "COMPRESS", "readonly": "RDONLY",
		"recordsize": "RECSIZE", "volblocksize": "VOLBLOCK", "compressratio": "RATIO", "usedbydataset": "USEDDS",
		"usedbysnapshots": "USEDSNAP", "usedbychildren": "USEDCHILD", "usedbyrefreservation": "USEDREFRESERV",
		"reservation": "RESERV", "refreservation": "REFRESERV", "logicalused": "LUSED", "logicalreferenced": "LREFER",
		"receive_resume_token": "RESUMETOK", "encryptionroot": "ENCROOT", "casesensitivity": "CASE", "normalization": "NORMALIZATION"}
	if s, ok := short[n]; ok {
		return s
	}
	return strings.ToUpper(n)
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

func (a *app) printTable(rows [][]string, names []string) {
	width := make([]int, len(names))
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], len(c))
		}
	}
	for _, r := range rows {
		for i, c := range r {
			if i > 0 {
				fmt.Fprint(a.out, "  ")
			}
			switch {
			case rightAligned(names[i]):
				fmt.Fprintf(a.out, "%*s", width[i], c)
			case i == len(r)-1:
				fmt.Fprint(a.out, c)
			default:
				fmt.Fprintf(a.out, "%-*s", width[i], c)
			}
		}
		fmt.Fprintln(a.out)
	}
}
