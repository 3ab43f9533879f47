package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// newDataset adds a dataset to the pool; its folders are made by the caller.
func (s *store) newDataset(p *Pool, name string, volume bool) *Dataset {
	d := &Dataset{Name: name, ID: s.newID(), Volume: volume, GUID: s.newGUID(), CreateTXG: p.nextTXG(),
		Creation: s.m.Now().Unix(), Obj: p.nextObj(), Family: s.newID(), Local: map[string]string{}, pool: p}
	p.Datasets[name] = d
	s.touch(p)
	return d
}

func parentName(name string) string {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return ""
	}
	return name[:i]
}

// checkParent says why a dataset can't be made under this name.
func (a *app) checkParent(name string) (parent *Dataset, why string) {
	pn := parentName(name)
	if pn == "" {
		return nil, "missing dataset name"
	}
	pool, _, _ := strings.Cut(name, "/")
	if a.store.pools[pool] == nil {
		return nil, fmt.Sprintf("no such pool '%s'", pool)
	}
	o, ok := a.store.find(pn)
	if !ok {
		return nil, "parent does not exist"
	}
	if o.ds.Volume {
		return nil, "parent is not a filesystem"
	}
	return o.ds, ""
}

// createAncestors makes the missing parents of name, mounted as usual.
func (a *app) createAncestors(name string) bool {
	parts := strings.Split(parentName(name), "/")
	for i := 2; i <= len(parts); i++ {
		n := strings.Join(parts[:i], "/")
		if _, ok := a.store.find(n); ok {
			continue
		}
		parent, why := a.checkParent(n)
		if why != "" {
			a.fail(fmt.Sprintf("cannot create '%s'", n), why)
			return false
		}
		d := a.store.newDataset(parent.pool, n, false)
		d.Live = true
		if !a.inheritCrypt(d, parent) || !a.makeLive(d) {
			return false
		}
		if d.mountable() {
			a.tryMount(d, false)
		}
	}
	return true
}

func (a *app) makeLive(d *Dataset) bool {
	if err := a.store.m.Trees.Make(a.store.liveDir(d)); err != nil {
		a.failf("zfssim: %v", err)
		return false
	}
	if d.Volume {
		if err := a.store.linkVolume(d); err != nil {
			a.failf("zfssim: %v", err)
			return false
		}
	}
	return true
}

func cmdCreate(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "b:PnpsuvV:o:")
	if !ok {
		return 2
	}
	props := map[string]string{}
	parents, noMount, dry, verbose, parsable, sparse, volume := false, false, false, false, false, false, false
	for _, o := range opts {
		switch o.flag {
		case 'p':
			parents = true
		case 'u':
			noMount = true
		case 'n':
			dry = true
		case 'v':
			verbose = true
		case 'P':
			parsable, verbose = true, true
		case 's':
			sparse = true
		case 'b':
			props["volblocksize"] = o.arg
		case 'V':
			volume = true
			n, ok := parseNumber(o.arg)
			if !ok {
				if c := o.arg[0]; c < '0' || c > '9' {
					return a.failf("bad volume size '%s': bad numeric value '%s'", o.arg, o.arg)
				}
				return a.failf("bad volume size '%s': invalid numeric suffix '%s'", o.arg, strings.TrimLeft(o.arg, "0123456789."))
			}
			props["volsize"] = strconv.FormatUint(n, 10)
		case 'o':
			n, v, ok := splitProperty(o.arg)
			if !ok {
				return a.usageError("missing '=' for property=value argument")
			}
			if _, twice := props[n]; twice {
				return a.usageError("property '%s' specified multiple times", n)
			}
			props[n] = v
		}
	}
	switch {
	case len(rest) == 0:
		return a.usageError("missing %s argument", map[bool]string{true: "volume", false: "filesystem"}[volume])
	case len(rest) > 1:
		return a.usageError("too many arguments")
	}
	name := rest[0]
	what := fmt.Sprintf("cannot create '%s'", name)
	kind := kindFilesystem
	if volume {
		kind = kindVolume
	}
	if why := checkName(name, kind, true); why != "" {
		return a.fail(what, why)
	}
	if !a.begin(true) {
		return 1
	}
	if _, exists := a.store.find(name); exists {
		if parents {
			return 0
		}
		return a.fail(what, "dataset already exists")
	}
	if parents && !dry && !a.createAncestors(name) {
		return 1
	}
	parent, why := a.checkParent(name)
	if why != "" && !(dry && parents) {
		return a.fail(what, why)
	}
	checked, ok := a.checkProperties(what, props, kind)
	if !ok {
		return 1
	}
	if verbose {
		verb := "create"
		if !parsable {
			verb = map[bool]string{true: "would create ", false: "create "}[dry] + name
			fmt.Fprintln(a.out, verb)
		} else {
			fmt.Fprintf(a.out, "create\t%s\n", name)
		}
		for _, n := range slices.Sorted(maps.Keys(checked)) {
			if parsable {
				fmt.Fprintf(a.out, "property\t%s\t%s\n", n, checked[n])
			} else {
				fmt.Fprintf(a.out, "\t%s=%s\n", n, checked[n])
			}
		}
	}
	if dry {
		return 0
	}
	if volume {
		size, _ := strconv.ParseUint(checked["volsize"], 10, 64)
		block := uint64(16384)
		if b, ok := checked["volblocksize"]; ok {
			block, _ = strconv.ParseUint(b, 10, 64)
		}
		size = (size + block - 1) / block * block
		checked["volsize"] = strconv.FormatUint(size, 10)
		if !sparse {
			if newView(a.store, a.err).available(parent) < size {
				return a.fail(what, "out of space")
			}
			checked["refreservation"] = strconv.FormatUint(volumeReserve(size), 10)
		}
	}
	d := a.store.newDataset(parent.pool, name, volume)
	d.Local, d.Live = checked, true
	if !a.setupCrypt(d, parent, checked, what) || !a.makeLive(d) {
		return 1
	}
	code := 0
	if !noMount && d.mountable() && !a.tryMount(d, false) {
		fmt.Fprintln(a.err, "filesystem successfully created, but not mounted")
		code = 1
	}
	if !a.commit() {
		return 1
	}
	return code
}

// volumeReserve is what a volume reserves: its size and a part for what
// describes the blocks.
func volumeReserve(size uint64) uint64 { return size + size/32 + 1<<20 }

// checkProperties checks the properties of a dataset about to be made.
func (a *app) checkProperties(what string, props map[string]string, kind int) (map[string]string, bool) {
	table := settable()
	checked := map[string]string{}
	for _, n := range slices.Sorted(maps.Keys(props)) {
		c := canonical(n)
		v, why := a.checkValue(table, c, props[n], kind, true)
		if why != "" {
			a.fail(what, why)
			return nil, false
		}
		checked[c] = v
	}
	return checked, true
}

// setupCrypt makes the keys of a new dataset from its properties or its
// parent's; encryption properties are kept in Crypt, not among the others.
func (a *app) setupCrypt(d, parent *Dataset, props map[string]string, what string) bool {
	suite, format := props["encryption"], props["keyformat"]
	iters := props["pbkdf2iters"]
	for _, n := range []string{"encryption", "keyformat", "pbkdf2iters"} {
		delete(props, n)
	}
	if suite == "off" {
		return true
	}
	if format == "" || format == "none" {
		if suite != "" && (parent == nil || parent.Crypt == nil) {
			a.fail(what, "Keyformat required for new encryption root.")
			return false
		}
		if _, ok := props["keylocation"]; ok {
			a.fail(what, "Keyformat required for new encryption root.")
			return false
		}
		return a.inheritCrypt(d, parent)
	}
	if suite == "" || suite == "on" {
		if suite == "" && (parent == nil || parent.Crypt == nil) {
			a.fail(what, "Encryption must be turned on to set encryption properties.")
			return false
		}
		suite = "aes-256-gcm"
	}
	c := &Crypt{Suite: suite, KeyGUID: a.store.newGUID(), Root: d.ID, KeyFormat: format, Salt: a.store.newID()}
	if format == "passphrase" {
		c.Iters = 350000
		if n, err := strconv.Atoi(iters); err == nil {
			c.Iters = n
		}
	}
	if props["keylocation"] == "" {
		props["keylocation"] = "prompt"
	}
	user, why := a.readKey(props["keylocation"], c)
	if why != "" {
		a.fail(what, why)
		return false
	}
	master := a.store.random(32)
	c.Wrapped = a.store.wrap(user, master)
	d.Crypt = c
	if err := a.store.saveUserKey(d.ID, user); err != nil {
		a.failf("zfssim: %v", err)
		return false
	}
	return true
}

// inheritCrypt gives a dataset below an encrypted one a key of its own under
// the same encryption root.
func (a *app) inheritCrypt(d, parent *Dataset) bool {
	if parent == nil || parent.Crypt == nil {
		return true
	}
	user, err := a.store.userKey(parent.Crypt.Root)
	if err != nil {
		a.fail(fmt.Sprintf("cannot create '%s'", d.Name), "encryption root's key is not loaded or provided")
		return false
	}
	master := a.store.random(32)
	d.Crypt = &Crypt{Suite: parent.Crypt.Suite, KeyGUID: a.store.newGUID(), Root: parent.Crypt.Root, Wrapped: a.store.wrap(user, master)}
	return true
}
