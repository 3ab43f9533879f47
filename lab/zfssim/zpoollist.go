package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// size is what the pool has, as zpool list shows it: vdevs are divided into
// metaslabs and labels take their part.
func (p *Pool) size() uint64 {
	const slab = 16 << 20
	if p.Size < 2*slab {
		return p.Size
	}
	return (p.Size - 5<<20) / slab * slab
}

// poolOverhead is what a pool with nothing in it has allocated.
const poolOverhead = 112 << 10

// usable is what datasets can take: some space is kept back.
func (p *Pool) usable() uint64 {
	size := p.size()
	slop := max(size/32, min(size/2, 128<<20))
	return size - slop - poolOverhead
}

// poolValue is a property of a pool.
func (a *app) poolValue(p *Pool, name string, literal bool) (val, src string, ok bool) {
	v := newView(a.store, a.err)
	size := func(n uint64) (string, string, bool) {
		if literal {
			return strconv.FormatUint(n, 10), "-", true
		}
		return nice(n), "-", true
	}
	used := func() uint64 {
		return v.used(p.Datasets[p.Name]) + poolOverhead
	}
	switch name {
	case "name":
		return p.Name, "-", true
	case "size":
		return size(p.size())
	case "allocated", "alloc":
		return size(min(used(), p.size()))
	case "free":
		return size(p.size() - min(used(), p.size()))
	case "capacity", "cap":
		n := strconv.FormatUint(min(used(), p.size())*100/max(p.size(), 1), 10)
		if !literal {
			n += "%"
		}
		return n, "-", true
	case "health":
		if a.faults.match("zpool", "degraded", p.Name) != nil {
			return "DEGRADED", "-", true
		}
		return "ONLINE", "-", true
	case "guid":
		return strconv.FormatUint(p.GUID, 10), "-", true
	case "fragmentation", "frag":
		if literal {
			return "0", "-", true
		}
		return "0%", "-", true
	case "expandsize", "checkpoint", "ckpoint":
		return "-", "-", true
	case "dedupratio", "dedup":
		if literal {
			return "1.00", "-", true
		}
		return "1.00x", "-", true
	case "freeing", "leaked":
		return "0", "-", true
	case "readonly":
		return "off", "-", true
	case "altroot":
		if p.Altroot == "" {
			return "-", "default", true
		}
		return p.Altroot, "local", true
	case "version":
		return "-", "default", true
	}
	if strings.HasPrefix(name, "feature@") {
		return "enabled", "local", true
	}
	if val, ok := p.Props[name]; ok {
		return val, "local", true
	}
	defaults := map[string]string{"ashift": "0", "autoexpand": "off", "autoreplace": "off", "autotrim": "off", "bootfs": "-",
		"cachefile": "-", "comment": "-", "delegation": "on", "failmode": "wait", "listsnapshots": "off", "multihost": "off", "compatibility": "off"}
	if val, ok := defaults[name]; ok {
		return val, "default", true
	}
	if isUserProperty(name) {
		return "-", "default", true
	}
	return "", "", false
}

func zpoolList(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "HpLPgvo:T:")
	if !ok {
		return 2
	}
	fields := "name,size,allocated,free,checkpoint,expandsize,fragmentation,capacity,dedupratio,health,altroot"
	scripted, literal := false, false
	for _, o := range opts {
		switch o.flag {
		case 'H':
			scripted = true
		case 'p':
			literal = true
		case 'o':
			fields = o.arg
		}
	}
	if !a.begin(false) {
		return 1
	}
	names, code := rest, 0
	if len(names) == 0 {
		names = a.store.poolNames()
	}
	cols := strings.Split(fields, ",")
	var rows [][]string
	if !scripted {
		head := make([]string, len(cols))
		short := map[string]string{"allocated": "ALLOC", "checkpoint": "CKPOINT", "expandsize": "EXPANDSZ", "fragmentation": "FRAG", "capacity": "CAP", "dedupratio": "DEDUP"}
		for i, c := range cols {
			if head[i] = short[c]; head[i] == "" {
				head[i] = strings.ToUpper(c)
			}
		}
		rows = append(rows, head)
	}
	for _, n := range names {
		p, ok := a.openPool(n)
		if !ok {
			code = 1
			continue
		}
		row := make([]string, len(cols))
		for i, c := range cols {
			val, _, ok := a.poolValue(p, c, literal)
			if !ok {
				fmt.Fprintf(a.err, "bad property list: invalid property '%s'\n", c)
				return a.usage()
			}
			row[i] = val
		}
		rows = append(rows, row)
	}
	if scripted {
		for _, r := range rows {
			fmt.Fprintln(a.out, strings.Join(r, "\t"))
		}
	} else if len(rows) > 1 {
		a.printTable(rows, cols)
	} else if code == 0 {
		fmt.Fprintln(a.out, "no pools available")
	}
	return code
}

// poolFeatures are those features of pools that have to do with streams.
var poolFeatures = []string{"feature@bookmark_v2", "feature@embedded_data", "feature@encryption", "feature@large_blocks",
	"feature@large_dnode", "feature@longname", "feature@lz4_compress", "feature@zstd_compress"}

// poolProperties are the properties that a list of them names.
func poolProperties(list string) []string {
	if list != "all" {
		return strings.Split(list, ",")
	}
	return append([]string{"size", "capacity", "health", "guid", "free", "allocated", "readonly"}, poolFeatures...)
}

func zpoolGet(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "Hpo:")
	if !ok {
		return 2
	}
	columns, scripted, literal := []string{"name", "property", "value", "source"}, false, false
	for _, o := range opts {
		switch o.flag {
		case 'H':
			scripted = true
		case 'p':
			literal = true
		case 'o':
			columns = strings.Split(o.arg, ",")
		}
	}
	if len(rest) < 1 {
		return a.usageError("missing property argument")
	}
	if !a.begin(false) {
		return 1
	}
	names := rest[1:]
	if len(names) == 0 {
		names = a.store.poolNames()
	}
	code := 0
	var rows [][]string
	if !scripted {
		head := make([]string, len(columns))
		for i, c := range columns {
			head[i] = strings.ToUpper(c)
		}
		rows = append(rows, head)
	}
	for _, n := range names {
		p, ok := a.openPool(n)
		if !ok {
			code = 1
			continue
		}
		for _, prop := range poolProperties(rest[0]) {
			val, src, ok := a.poolValue(p, prop, literal)
			if !ok {
				fmt.Fprintf(a.err, "bad property list: invalid property '%s'\n", prop)
				return a.usage()
			}
			cells := map[string]string{"name": p.Name, "property": prop, "value": val, "source": src}
			row := make([]string, len(columns))
			for i, c := range columns {
				row[i] = cells[c]
			}
			rows = append(rows, row)
		}
	}
	if scripted {
		for _, r := range rows {
			fmt.Fprintln(a.out, strings.Join(r, "\t"))
		}
	} else if len(rows) > 1 {
		a.printTable(rows, columns)
	}
	return code
}

func zpoolStatus(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "xvLPgpstiD")
	if !ok {
		return 2
	}
	onlyBad := slices.ContainsFunc(opts, func(o option) bool { return o.flag == 'x' })
	if !a.begin(false) {
		return 1
	}
	names, code := rest, 0
	if len(names) == 0 {
		names = a.store.poolNames()
	}
	if len(names) == 0 {
		fmt.Fprintln(a.out, "no pools available")
		return 0
	}
	if onlyBad {
		for _, n := range rest {
			if _, ok := a.openPool(n); !ok {
				return 1
			}
			fmt.Fprintf(a.out, "pool '%s' is healthy\n", n)
		}
		if len(rest) == 0 {
			fmt.Fprintln(a.out, "all pools are healthy")
		}
		return 0
	}
	for i, n := range names {
		p, ok := a.openPool(n)
		if !ok {
			code = 1
			continue
		}
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		width := len(p.Name)
		for _, v := range p.Vdevs {
			width = max(width, len(v)+2)
		}
		width = max(width, 10)
		fmt.Fprintf(a.out, "  pool: %s\n state: ONLINE\nconfig:\n\n", p.Name)
		fmt.Fprintf(a.out, "\t%-*s  %-8s %5s %5s %5s\n", width, "NAME", "STATE", "READ", "WRITE", "CKSUM")
		fmt.Fprintf(a.out, "\t%-*s  %-8s %5d %5d %5d\n", width, p.Name, "ONLINE", 0, 0, 0)
		for _, v := range p.Vdevs {
			fmt.Fprintf(a.out, "\t  %-*s  %-8s %5d %5d %5d\n", width-2, v, "ONLINE", 0, 0, 0)
		}
		fmt.Fprintf(a.out, "\nerrors: No known data errors\n")
	}
	return code
}
