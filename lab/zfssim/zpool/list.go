package zpool

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
)

// poolValue is a property of a pool.
func poolValue(a *app.App, p *model.Pool, name string, literal bool) (val, src string, ok bool) {
	v := store.NewView(a.Store, a.Err)
	size := func(n uint64) (string, string, bool) {
		if literal {
			return strconv.FormatUint(n, 10), "-", true
		}
		return model.Nice(n), "-", true
	}
	used := func() uint64 {
		return v.Used(p.Datasets[p.Name]) + model.PoolOverhead
	}
	switch name {
	case "name":
		return p.Name, "-", true
	case "size":
		return size(p.Capacity())
	case "allocated", "alloc":
		return size(min(used(), p.Capacity()))
	case "free":
		return size(p.Capacity() - min(used(), p.Capacity()))
	case "capacity", "cap":
		n := strconv.FormatUint(min(used(), p.Capacity())*100/max(p.Capacity(), 1), 10)
		if !literal {
			n += "%"
		}
		return n, "-", true
	case "health":
		if a.Faults.Match("zpool", "degraded", p.Name) != nil {
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
	if model.IsUserProperty(name) {
		return "-", "default", true
	}
	return "", "", false
}

func zpoolList(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "HpLPgvo:T:")
	if !ok {
		return 2
	}
	fields := "name,size,allocated,free,checkpoint,expandsize,fragmentation,capacity,dedupratio,health,altroot"
	scripted, literal := false, false
	for _, o := range opts {
		switch o.Flag {
		case 'H':
			scripted = true
		case 'p':
			literal = true
		case 'o':
			fields = o.Arg
		}
	}
	if !a.Begin(false) {
		return 1
	}
	names, code := rest, 0
	if len(names) == 0 {
		names = a.Store.PoolNames()
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
		p, ok := openPool(a, n)
		if !ok {
			code = 1
			continue
		}
		row := make([]string, len(cols))
		for i, c := range cols {
			val, _, ok := poolValue(a, p, c, literal)
			if !ok {
				fmt.Fprintf(a.Err, "bad property list: invalid property '%s'\n", c)
				return a.Usage()
			}
			row[i] = val
		}
		rows = append(rows, row)
	}
	if scripted {
		for _, r := range rows {
			fmt.Fprintln(a.Out, strings.Join(r, "\t"))
		}
	} else if len(rows) > 1 {
		a.PrintTable(rows, cols)
	} else if code == 0 {
		fmt.Fprintln(a.Out, "no pools available")
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

func zpoolGet(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "Hpo:")
	if !ok {
		return 2
	}
	columns, scripted, literal := []string{"name", "property", "value", "source"}, false, false
	for _, o := range opts {
		switch o.Flag {
		case 'H':
			scripted = true
		case 'p':
			literal = true
		case 'o':
			columns = strings.Split(o.Arg, ",")
		}
	}
	if len(rest) < 1 {
		return a.UsageError("missing property argument")
	}
	if !a.Begin(false) {
		return 1
	}
	names := rest[1:]
	if len(names) == 0 {
		names = a.Store.PoolNames()
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
		p, ok := openPool(a, n)
		if !ok {
			code = 1
			continue
		}
		for _, prop := range poolProperties(rest[0]) {
			val, src, ok := poolValue(a, p, prop, literal)
			if !ok {
				fmt.Fprintf(a.Err, "bad property list: invalid property '%s'\n", prop)
				return a.Usage()
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
			fmt.Fprintln(a.Out, strings.Join(r, "\t"))
		}
	} else if len(rows) > 1 {
		a.PrintTable(rows, columns)
	}
	return code
}

func zpoolStatus(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "xvLPgpstiD")
	if !ok {
		return 2
	}
	onlyBad := slices.ContainsFunc(opts, func(o app.Option) bool { return o.Flag == 'x' })
	if !a.Begin(false) {
		return 1
	}
	names, code := rest, 0
	if len(names) == 0 {
		names = a.Store.PoolNames()
	}
	if len(names) == 0 {
		fmt.Fprintln(a.Out, "no pools available")
		return 0
	}
	if onlyBad {
		for _, n := range rest {
			if _, ok := openPool(a, n); !ok {
				return 1
			}
			fmt.Fprintf(a.Out, "pool '%s' is healthy\n", n)
		}
		if len(rest) == 0 {
			fmt.Fprintln(a.Out, "all pools are healthy")
		}
		return 0
	}
	for i, n := range names {
		p, ok := openPool(a, n)
		if !ok {
			code = 1
			continue
		}
		if i > 0 {
			fmt.Fprintln(a.Out)
		}
		width := len(p.Name)
		for _, v := range p.Vdevs {
			width = max(width, len(v)+2)
		}
		width = max(width, 10)
		fmt.Fprintf(a.Out, "  pool: %s\n state: ONLINE\nconfig:\n\n", p.Name)
		fmt.Fprintf(a.Out, "\t%-*s  %-8s %5s %5s %5s\n", width, "NAME", "STATE", "READ", "WRITE", "CKSUM")
		fmt.Fprintf(a.Out, "\t%-*s  %-8s %5d %5d %5d\n", width, p.Name, "ONLINE", 0, 0, 0)
		for _, v := range p.Vdevs {
			fmt.Fprintf(a.Out, "\t  %-*s  %-8s %5d %5d %5d\n", width-2, v, "ONLINE", 0, 0, 0)
		}
		fmt.Fprintf(a.Out, "\nerrors: No known data errors\n")
	}
	return code
}
