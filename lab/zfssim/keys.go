package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// readKey reads a key from where keylocation says and derives the wrapping
// key; why says what is wrong with it.
func (a *app) readKey(location string, c *Crypt) (key []byte, why string) {
	var given []byte
	switch {
	case location == "" || location == "prompt":
		limit := 512
		if c.KeyFormat == "raw" {
			limit = 33
		}
		var err error
		if c.KeyFormat == "raw" {
			given, err = io.ReadAll(io.LimitReader(a.in, int64(limit)))
		} else {
			given, err = bufio.NewReader(a.in).ReadBytes('\n')
			if err == io.EOF {
				err = nil
			}
		}
		if err != nil {
			return nil, "Failed to read key: " + strerror(err)
		}
	case strings.HasPrefix(location, "file://"):
		path := strings.TrimPrefix(location, "file://")
		var err error
		if given, err = a.store.m.ReadFile(path); err != nil {
			return nil, fmt.Sprintf("Failed to open key material file: %s", strerror(bareErrno(err)))
		}
	default:
		return nil, "Invalid key location."
	}
	return deriveKey(c.KeyFormat, c.Salt, c.Iters, given)
}

func cmdLoadKey(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "rnaL:")
	if !ok {
		return 2
	}
	recurse, dry, all, location := false, false, false, ""
	for _, o := range opts {
		switch o.flag {
		case 'r':
			recurse = true
		case 'n':
			dry = true
		case 'a':
			all = true
		case 'L':
			location = o.arg
		}
	}
	if !a.begin(true) {
		return 1
	}
	var targets []*Dataset
	if all {
		for _, n := range a.store.poolNames() {
			for _, d := range a.store.pools[n].sorted() {
				if d.Crypt != nil && d.Crypt.Root == d.ID && !a.store.keyLoaded(d) {
					targets = append(targets, d)
				}
			}
		}
	} else {
		if len(rest) < 1 {
			return a.usageError("Missing dataset argument or -a option")
		}
		o, ok := a.open(rest[0], fsVol)
		if !ok {
			return 1
		}
		targets = []*Dataset{o.ds}
		if recurse {
			targets = nil
			for _, d := range o.ds.below() {
				if d.Crypt != nil && d.Crypt.Root == d.ID && !a.store.keyLoaded(d) {
					targets = append(targets, d)
				}
			}
		}
	}
	code, done := 0, 0
	for _, d := range targets {
		if c := a.loadKey(d, location, dry); c != 0 {
			code = c
		} else {
			done++
		}
	}
	if all || recurse || dry {
		fmt.Fprintf(a.out, "%d / %d key(s) successfully %s\n", done, len(targets), map[bool]string{true: "verified", false: "loaded"}[dry])
	}
	if !a.commit() {
		return 1
	}
	return code
}

// loadKey loads the key of one encryption root.
func (a *app) loadKey(d *Dataset, location string, dry bool) int {
	bad := func(why string) int {
		fmt.Fprintf(a.err, "Key load error: %s\n", why)
		return 255
	}
	if d.Crypt == nil {
		return bad(fmt.Sprintf("'%s' is not encrypted.", d.Name))
	}
	root := a.store.encryptionRoot(d)
	if root != d {
		return bad(fmt.Sprintf("Keys must be loaded for encryption root of '%s' (%s).", d.Name, root.Name))
	}
	if a.store.keyLoaded(d) && !dry {
		return bad(fmt.Sprintf("Key already loaded for '%s'.", d.Name))
	}
	if location == "" {
		location = d.Local["keylocation"]
	}
	key, why := a.readKey(location, d.Crypt)
	if why != "" {
		return bad(why)
	}
	if _, err := unwrap(key, d.Crypt.Wrapped); err != nil {
		return bad(fmt.Sprintf("Incorrect key provided for '%s'.", d.Name))
	}
	if dry {
		return 0
	}
	if err := a.store.saveUserKey(d.ID, key); err != nil {
		return a.failf("zfssim: %v", err)
	}
	for _, e := range d.pool.Datasets {
		if e.Volume && e.Crypt != nil && e.Crypt.Root == d.ID {
			if err := a.store.restore(e); err != nil {
				return a.failf("zfssim: %v", err)
			}
			if e.Live {
				a.store.linkVolume(e)
			}
		}
	}
	return 0
}

func cmdUnloadKey(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "ra")
	if !ok {
		return 2
	}
	recurse, all := false, false
	for _, o := range opts {
		recurse = recurse || o.flag == 'r'
		all = all || o.flag == 'a'
	}
	if !a.begin(true) {
		return 1
	}
	var targets []*Dataset
	switch {
	case all:
		for _, n := range a.store.poolNames() {
			targets = append(targets, a.store.pools[n].sorted()...)
		}
	case len(rest) < 1:
		return a.usageError("Missing dataset argument or -a option")
	default:
		o, ok := a.open(rest[0], fsVol)
		if !ok {
			return 1
		}
		targets = []*Dataset{o.ds}
		if recurse {
			targets = o.ds.below()
		}
	}
	bad := func(why string) int {
		fmt.Fprintf(a.err, "Key unload error: %s\n", why)
		return 255
	}
	code, done, tried := 0, 0, 0
	for _, d := range targets {
		if (all || recurse) && (d.Crypt == nil || d.Crypt.Root != d.ID || !a.store.keyLoaded(d)) {
			continue
		}
		tried++
		switch {
		case d.Crypt == nil:
			code = bad(fmt.Sprintf("'%s' is not encrypted.", d.Name))
			continue
		case d.Crypt.Root != d.ID:
			code = bad(fmt.Sprintf("Keys must be unloaded for encryption root of '%s' (%s).", d.Name, a.store.encryptionRoot(d).Name))
			continue
		case !a.store.keyLoaded(d):
			code = bad(fmt.Sprintf("Key already unloaded for '%s'.", d.Name))
			continue
		}
		busy := false
		for _, e := range d.pool.Datasets {
			busy = busy || e.Crypt != nil && e.Crypt.Root == d.ID && len(a.store.mountsOf(e)) > 0
		}
		if busy {
			code = bad(fmt.Sprintf("'%s' is busy.", d.Name))
			continue
		}
		if err := a.store.m.Files.Remove(a.store.keyFile(d.ID)); err != nil {
			return a.failf("zfssim: %v", err)
		}
		for _, e := range d.pool.Datasets {
			if e.Volume && e.Crypt != nil && e.Crypt.Root == d.ID {
				a.store.removeVolumeLink(e)
			}
		}
		done++
	}
	if all || recurse {
		fmt.Fprintf(a.out, "%d / %d key(s) successfully unloaded\n", done, tried)
	}
	return code
}

func cmdChangeKey(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "ilo:")
	if !ok {
		return 2
	}
	inherit := false
	props := map[string]string{}
	for _, o := range opts {
		switch o.flag {
		case 'i':
			inherit = true
		case 'o':
			n, v, ok := splitProperty(o.arg)
			if !ok {
				return a.usageError("missing '=' for property=value argument")
			}
			props[n] = v
		}
	}
	if len(rest) != 1 {
		return a.usageError("Missing dataset argument")
	}
	if !a.begin(true) {
		return 1
	}
	o, ok := a.open(rest[0], fsVol)
	if !ok {
		return 1
	}
	d := o.ds
	bad := func(why string) int {
		fmt.Fprintf(a.err, "Key change error: %s\n", why)
		return 255
	}
	if d.Crypt == nil {
		return bad("Dataset not encrypted.")
	}
	if !a.store.keyLoaded(d) {
		return bad("Current wrapping key must be loaded.") // or nothing could be wrapped anew
	}
	oldRoot := d.Crypt.Root
	oldUser, err := a.store.userKey(oldRoot)
	if err != nil {
		return bad("Dataset key must be loaded.")
	}
	var user []byte
	newRoot := d.ID
	if inherit {
		parent := d.parent()
		if parent == nil || parent.Crypt == nil {
			return bad("Root dataset cannot inherit key.")
		}
		if user, err = a.store.userKey(parent.Crypt.Root); err != nil {
			return bad("Parent key must be loaded.")
		}
		newRoot = parent.Crypt.Root
	} else {
		c := *d.Crypt
		if f, ok := props["keyformat"]; ok {
			c.KeyFormat = f
		} else if oldRoot != d.ID {
			c.KeyFormat = a.store.encryptionRoot(d).Crypt.KeyFormat
		}
		c.Salt = a.store.newID()
		if c.KeyFormat == "passphrase" && c.Iters == 0 {
			c.Iters = 350000
		}
		loc := props["keylocation"]
		if loc == "" {
			loc = d.Local["keylocation"]
		}
		var why string
		if user, why = a.readKey(loc, &c); why != "" {
			return bad(why)
		}
		d.Crypt.KeyFormat, d.Crypt.Salt, d.Crypt.Iters = c.KeyFormat, c.Salt, c.Iters
		if loc == "" {
			loc = "prompt"
		}
		d.setLocal("keylocation", loc)
	}
	for _, e := range d.below() {
		if e.Crypt == nil || e.Crypt.Root != oldRoot {
			continue
		}
		master, err := unwrap(oldUser, e.Crypt.Wrapped)
		if err != nil {
			return bad("Incorrect key.")
		}
		e.Crypt.Wrapped, e.Crypt.Root = a.store.wrap(user, master), newRoot
	}
	a.store.touch(d.pool)
	if err := a.store.saveUserKey(newRoot, user); err != nil {
		return a.failf("zfssim: %v", err)
	}
	if !a.commit() {
		return 1
	}
	return 0
}
