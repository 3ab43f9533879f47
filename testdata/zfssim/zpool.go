package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func jsonDecode(b []byte, v any) error { return json.Unmarshal(b, v) }

func zpoolCommands() map[string]command {
	return map[string]command{
		"create": zpoolCreate, "destroy": zpoolDestroy, "list": zpoolList, "get": zpoolGet, "set": zpoolSet,
		"status": zpoolStatus, "sync": zpoolSync, "export": zpoolExport, "import": zpoolImport, "version": cmdVersion,
	}
}

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

func zpoolCreate(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "fndB:R:m:o:O:t:")
	if !ok {
		return 2
	}
	p := &Pool{GUID: newGUID(), TXG: 4, NextObj: 50, Created: time.Now().Unix(), Props: map[string]string{}, Datasets: map[string]*Dataset{}}
	props := map[string]string{}
	for _, o := range opts {
		n, v, hasValue := splitProperty(o.arg)
		switch o.flag {
		case 'R':
			p.Altroot = strings.TrimSuffix(o.arg, "/")
		case 'm':
			props["mountpoint"] = o.arg
		case 'o', 'O':
			if !hasValue {
				return a.usageError("missing '=' for property=value argument")
			}
			if o.flag == 'O' {
				props[n] = v
			} else {
				p.Props[n] = v
			}
		}
	}
	switch {
	case len(rest) < 1:
		return a.usageError("missing pool name argument")
	case len(rest) < 2:
		return a.usageError("missing vdev specification")
	}
	p.Name = rest[0]
	what := fmt.Sprintf("cannot create '%s'", p.Name)
	if strings.Contains(p.Name, "/") {
		return a.fail(what, "invalid character '/' in pool name\nuse 'zfs create' to create a dataset")
	}
	if why := checkName(p.Name, kindFilesystem, true); why != "" {
		return a.fail(what, why)
	}
	if c := p.Name[0]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
		return a.fail(what, "name must begin with a letter")
	}
	if !a.begin(true) {
		return 1
	}
	if a.store.pools[p.Name] != nil {
		return a.fail(what, "pool already exists")
	}
	for _, v := range rest[1:] {
		if v == "mirror" || strings.HasPrefix(v, "raidz") {
			continue
		}
		st, err := os.Stat(v)
		if err != nil {
			return a.fail(fmt.Sprintf("cannot open '%s'", v), strerror(bareErrno(err)))
		}
		if st.Size() < 64<<20 {
			return a.fail(what, "one or more devices is less than the minimum size (64M)")
		}
		p.Vdevs = append(p.Vdevs, v)
		p.Size += uint64(st.Size())
	}
	checked, ok := a.checkProperties(what, props, kindFilesystem)
	if !ok {
		return 1
	}
	a.store.pools[p.Name] = p
	d := a.store.newDataset(p, p.Name, false)
	d.Local, d.Live = checked, true
	if !a.setupCrypt(d, nil, checked, what) || !a.makeLive(d) {
		return 1
	}
	if d.mountable() && !a.tryMount(d, false) {
		return 1
	}
	if !a.commit() {
		return 1
	}
	return 0
}

// openPool finds an imported pool.
func (a *app) openPool(name string) (*Pool, bool) {
	p := a.store.pools[name]
	if p == nil {
		a.fail(fmt.Sprintf("cannot open '%s'", name), "no such pool")
		return nil, false
	}
	return p, true
}

func zpoolDestroy(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "f")
	if !ok {
		return 2
	}
	if len(rest) != 1 {
		return a.usageError("missing pool argument")
	}
	if !a.begin(true) {
		return 1
	}
	p, ok := a.openPool(rest[0])
	if !ok {
		return 1
	}
	if !a.releasePool(p, len(opts) > 0, "destroy") {
		return 1
	}
	for _, d := range p.Datasets {
		os.Remove(a.store.keyFile(d.ID))
	}
	if err := errors.Join(os.Remove(filepath.Join(a.store.root, "pools", p.Name+".json")), os.RemoveAll(a.store.data(p))); err != nil {
		return a.failf("zfssim: %v", err)
	}
	return 0
}

// releasePool unmounts everything and takes the volumes away.
func (a *app) releasePool(p *Pool, force bool, verb string) bool {
	if root := p.Datasets[p.Name]; root != nil {
		if _, ok := a.unmountTree(root, force); !ok {
			a.failf("could not %s '%s': could not unmount datasets", verb, p.Name)
			return false
		}
	}
	for _, d := range p.Datasets {
		if a.store.receiving(d) {
			a.fail(fmt.Sprintf("cannot %s '%s'", verb, p.Name), "pool is busy")
			return false
		}
		if d.Volume {
			a.store.removeVolumeLink(d)
		}
	}
	return true
}

func zpoolExport(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "af")
	if !ok {
		return 2
	}
	if len(rest) < 1 {
		return a.usageError("missing pool argument")
	}
	if !a.begin(true) {
		return 1
	}
	for _, name := range rest {
		p, ok := a.openPool(name)
		if !ok {
			return 1
		}
		if !a.releasePool(p, slices.ContainsFunc(opts, func(o option) bool { return o.flag == 'f' }), "export") {
			return 1
		}
		for _, d := range p.Datasets {
			os.Remove(a.store.keyFile(d.ID)) // the kernel forgets keys
		}
		p.Altroot = ""
		if err := a.store.savePool(p, "exported"); err != nil {
			return a.failf("zfssim: %v", err)
		}
		delete(a.store.pools, name)
		if err := os.Remove(filepath.Join(a.store.root, "pools", name+".json")); err != nil {
			return a.failf("zfssim: %v", err)
		}
	}
	return 0
}

func zpoolImport(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "ad:fNo:R:c:ml")
	if !ok {
		return 2
	}
	all, noMount, altroot, keys := false, false, "", false
	for _, o := range opts {
		switch o.flag {
		case 'a':
			all = true
		case 'N':
			noMount = true
		case 'R':
			altroot = strings.TrimSuffix(o.arg, "/")
		case 'l':
			keys = true
		}
	}
	if !a.begin(true) {
		return 1
	}
	dir := filepath.Join(a.store.root, "exported")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return a.failf("zfssim: %v", err)
	}
	if len(rest) == 0 && !all {
		if len(files) == 0 {
			return a.failf("no pools available to import")
		}
		for _, f := range files {
			p, err := readPool(f)
			if err != nil {
				return a.failf("zfssim: %v", err)
			}
			fmt.Fprintf(a.out, "  pool: %s\n    id: %d\n state: ONLINE\naction: The pool can be imported using its name or numeric identifier.\n", p.Name, p.GUID)
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
		if code := a.importPool(name, to, altroot, noMount, keys); code != 0 {
			return code
		}
	}
	return 0
}

func (a *app) importPool(name, to, altroot string, noMount, keys bool) int {
	file := filepath.Join(a.store.root, "exported", name+".json")
	p, err := readPool(file)
	if errors.Is(err, fs.ErrNotExist) {
		if a.store.pools[name] != nil {
			return a.fail(fmt.Sprintf("cannot import '%s'", name), "a pool with that name already exists\nuse the form 'zpool import <pool | id> <newpool>' to give it a new name")
		}
		return a.fail(fmt.Sprintf("cannot import '%s'", name), "no such pool available")
	}
	if err != nil {
		return a.failf("zfssim: %v", err)
	}
	p.Altroot = altroot
	if to != "" {
		moved := map[string]*Dataset{}
		for n, d := range p.Datasets {
			moved[to+strings.TrimPrefix(n, name)] = d
		}
		p.Name, p.Datasets = to, moved
		p.link()
	}
	a.store.pools[p.Name] = p
	a.store.touch(p)
	ok := true
	for _, d := range p.sorted() {
		if keys && d.Crypt != nil && d.Crypt.Root == d.ID && d.Local["keylocation"] != "prompt" {
			ok = a.loadKey(d, "", false) == 0 && ok
		}
		if d.Volume {
			if err := a.store.restore(d); err != nil {
				return a.failf("zfssim: %v", err)
			}
			if d.Live && a.store.keyLoaded(d) {
				if err := a.store.linkVolume(d); err != nil {
					return a.failf("zfssim: %v", err)
				}
			}
		} else if !noMount && d.mountable() && a.store.keyLoaded(d) {
			ok = a.tryMount(d, false) && ok
		}
	}
	if !a.commit() {
		return 1
	}
	if err := os.Remove(file); err != nil {
		return a.failf("zfssim: %v", err)
	}
	if !ok {
		return 1
	}
	return 0
}

// poolValue is a property of a pool.
func (a *app) poolValue(p *Pool, name string, literal bool) (val, src string, ok bool) {
	v := newView(a)
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
		for _, prop := range strings.Split(rest[0], ",") {
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

func zpoolSet(a *app, args []string) int {
	if len(args) != 2 {
		return a.usageError("missing pool name")
	}
	n, v, ok := splitProperty(args[0])
	if !ok {
		return a.usageError("missing '=' for property=value argument")
	}
	if !a.begin(true) {
		return 1
	}
	p, ok := a.openPool(args[1])
	if !ok {
		return 1
	}
	p.Props[n] = v
	a.store.touch(p)
	if !a.commit() {
		return 1
	}
	return 0
}

func zpoolSync(a *app, args []string) int {
	if !a.begin(false) {
		return 1
	}
	for _, n := range args {
		if _, ok := a.openPool(n); !ok {
			return 1
		}
	}
	return 0
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
