package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const embedRefused = "incompatible embedded data stream feature with encrypted receive."

// checkReceiveProps refuses -o and -x of properties that can't be received.
func checkReceiveProps(f receiveFlags) string {
	table := settable()
	names := slices.Concat(slices.Collect(maps.Keys(f.set)), slices.Collect(maps.Keys(f.exclude)))
	slices.Sort(names)
	for _, n := range names {
		c := canonical(n)
		p, native := table[c]
		switch {
		case isUserProperty(n):
		case c == "encryption" || c == "keyformat" || c == "keylocation" || c == "pbkdf2iters":
		case !native, p.once, c == "version", c == "volsize":
			return fmt.Sprintf("cannot receive: invalid property '%s'", n)
		}
	}
	return ""
}

// target is a receive that has been allowed to begin.
type target struct {
	dsID   string
	what   string
	stage  *stage
	newFS  bool
	skip   bool
	key    []byte // of the chunks received; nil in a raw receive
	limit  int64  // bytes that may still be stored
	dieAt  int64
	name   string
	resume bool
}

// prepare checks that the stream can be received and makes or finds its stage.
func (a *app) prepare(b beginRecord, f receiveFlags, ds, snap string) (*target, error) {
	isNew := b.FromGUID == 0 || b.Clone || f.origin != ""
	t := &target{what: "cannot receive incremental stream", name: ds}
	switch {
	case b.Resuming:
		t.what = "cannot receive resume stream"
	case isNew:
		t.what = "cannot receive new filesystem stream"
	}
	refuse := func(why string) (*target, error) { return nil, &recvError{t.what, why} }
	var origin *Snapshot
	if f.origin != "" {
		if o, ok := a.store.find(f.origin); ok {
			origin = o.snap
		}
	} else if b.Clone {
		origin = a.store.snapByGUID(ds, b.FromGUID)
		if origin == nil {
			return nil, &recvError{"cannot receive", fmt.Sprintf("local origin for clone %s@%s does not exist", ds, snap)}
		}
	}
	if origin != nil && f.verbose {
		if f.origin != "" {
			fmt.Fprintf(a.out, "using provided clone origin %s\n", origin.full())
		} else {
			fmt.Fprintf(a.out, "found clone origin %s\n", origin.full())
		}
	}
	o, exists := a.store.find(ds)
	if exists && isNew && !b.Resuming {
		return refuse(fmt.Sprintf("destination '%s' exists\nmust specify -F to overwrite it", ds))
	}
	if exists && isNew && !o.ds.Partial {
		return refuse(fmt.Sprintf("Resuming recv on existing destination '%s'\nmust specify -F to overwrite it", ds))
	}
	if exists && !isNew && b.Raw && o.ds.Crypt == nil {
		return refuse("cannot perform raw receive on top of existing unencrypted dataset")
	}
	var parent *Dataset
	if !exists {
		if !isNew || b.Resuming || !strings.Contains(ds, "/") {
			return refuse(fmt.Sprintf("destination '%s' does not exist", ds))
		}
		po, ok := a.store.find(parentName(ds))
		if !ok {
			fmt.Fprintf(a.err, "cannot open '%s': dataset does not exist\n", parentName(ds))
			return refuse("unable to restore to destination")
		}
		if po.ds.Volume {
			return refuse(fmt.Sprintf("parent '%s' is not a filesystem", po.ds.Name))
		}
		parent = po.ds
	}
	if why := a.checkOverrides(b, f); why != "" {
		return refuse(why)
	}
	if f.dry {
		return t, nil
	}
	var err error
	if exists {
		err = a.prepareExisting(t, o.ds, b, f, snap, isNew)
	} else {
		err = a.prepareNew(t, parent, origin, b, f, ds)
	}
	if err != nil || t.skip {
		return t, err
	}
	t.limit = int64(1) << 62
	if d := a.store.pools[poolOf(ds)].Datasets[ds]; d != nil {
		t.limit = int64(newView(a.store, a.err).available(d))
	}
	if n := a.faults.bytes("receive", "nospace-after", ds); n >= 0 {
		t.limit = n
	}
	t.dieAt = a.faults.bytes("receive", "die-after", ds)
	return t, nil
}

func poolOf(name string) string { p, _, _ := strings.Cut(name, "/"); return p }

// checkOverrides checks -o against the type of the stream.
func (a *app) checkOverrides(b beginRecord, f receiveFlags) string {
	table := settable()
	kind := kindFilesystem
	if b.Volume {
		kind = kindVolume
	}
	for _, n := range slices.Sorted(maps.Keys(f.set)) {
		c := canonical(n)
		crypt := c == "encryption" || c == "keyformat" || c == "keylocation" || c == "pbkdf2iters"
		if crypt && b.Raw {
			return fmt.Sprintf("encryption property '%s' cannot be set or excluded for raw streams.", n)
		}
		if crypt && b.FromGUID != 0 {
			return fmt.Sprintf("encryption property '%s' cannot be set for incremental streams.", n)
		}
		if p, native := table[c]; native && p.kinds&kind == 0 {
			return fmt.Sprintf("property '%s' does not apply to datasets of this type", n)
		}
		if _, why := a.checkValue(table, c, f.set[n], kind, true); why != "" {
			return why
		}
	}
	for n := range f.exclude {
		if p, native := table[canonical(n)]; native && p.kinds&kind == 0 {
			fmt.Fprintf(a.err, "Warning: %s: property '%s' does not apply to datasets of this type\n", f.target, n)
		}
	}
	return ""
}

// prepareExisting allows an incremental or resumed stream, or refuses it.
func (a *app) prepareExisting(t *target, d *Dataset, b beginRecord, f receiveFlags, snap string, isNew bool) error {
	refuse := func(why string) error { return &recvError{t.what, why} }
	t.dsID = d.ID
	busy := refuse("dataset is busy")
	if d.Stage != "" && !b.Resuming {
		if a.store.resumeToken(d) != "" {
			busy = refuse(fmt.Sprintf("destination %s contains partially-complete state from \"zfs receive -s\".", d.Name))
		}
		return busy
	}
	if a.faults.match("receive", "busy", d.Name) != nil {
		return busy
	}
	var err error
	if !b.Raw {
		if t.key, err = a.store.masterKey(d); err != nil {
			return refuse("inherited key must be loaded")
		}
	}
	if b.Resuming {
		return a.prepareResume(t, d, b, f)
	}
	if d.Crypt != nil && b.Embed && !b.Raw {
		return refuse(embedRefused)
	}
	if have := d.snapshot(snap); have != nil {
		for _, s := range d.Snaps {
			if s.GUID == b.ToGUID {
				t.skip = true
				return nil
			}
		}
		return &recvError{fmt.Sprintf("cannot restore to %s@%s", d.Name, snap), "destination already exists"}
	}
	i := slices.IndexFunc(d.Snaps, func(s *Snapshot) bool { return s.GUID == b.FromGUID })
	if i < 0 {
		return refuse(fmt.Sprintf("most recent snapshot of %s does not\nmatch incremental source", d.Name))
	}
	changed, err := a.store.changed(d)
	if err != nil {
		return err
	}
	modified := changed > 0
	for _, s := range d.Snaps[i+1:] {
		modified = modified || s.Manifest != d.Snaps[i].Manifest || b.Raw
	}
	if modified {
		return refuse(fmt.Sprintf("destination %s has been modified\nsince most recent snapshot", d.Name))
	}
	if b.Raw != (d.Crypt != nil && d.Snaps[i] != nil && b.Raw) {
		return refuse("invalid backup stream")
	}
	if b.Raw && (b.Crypt == nil || b.Crypt.KeyGUID != d.Crypt.KeyGUID) {
		return refuse("encryption key does not match existing key")
	}
	return a.openStage(t, d, b, f)
}

func (a *app) prepareResume(t *target, d *Dataset, b beginRecord, f receiveFlags) error {
	refuse := func(why string) error { return &recvError{t.what, why} }
	upgrade := "invalid backup stream"
	if f.resumable {
		upgrade = "kernel modules must be upgraded to receive this stream."
	}
	if d.Stage == "" {
		return refuse(upgrade)
	}
	st, err := a.store.readStageHead(a.store.data(d.pool, "recv", d.Stage))
	if err != nil {
		return err
	}
	if st.head.Begin.ToGUID != b.ToGUID || st.head.Begin.FromGUID != b.FromGUID {
		return refuse(upgrade)
	}
	if err := st.open(); err != nil {
		return refuse("dataset is busy")
	}
	if err := st.readLog(); err != nil {
		return err
	}
	t.stage, t.resume, t.newFS = st, true, d.Partial
	if st.object != b.Object || st.offset != b.Offset {
		st.close()
		return refuse("invalid backup stream")
	}
	return nil
}

// prepareNew makes the dataset that a full stream or a clone goes to.
func (a *app) prepareNew(t *target, parent *Dataset, origin *Snapshot, b beginRecord, f receiveFlags, ds string) error {
	if origin != nil && b.FromGUID != 0 && origin.GUID != b.FromGUID {
		return &recvError{t.what, fmt.Sprintf("most recent snapshot of %s does not\nmatch incremental source", ds)}
	}
	d := a.store.newDataset(parent.pool, ds, b.Volume)
	d.Partial = true
	if origin != nil {
		d.Origin, d.Family, d.Base = origin.Obj, origin.ds.Family, origin.Manifest
	}
	t.newFS, t.dsID = true, d.ID
	switch {
	case b.Raw:
		c := *b.Crypt
		c.Root = d.ID
		d.Crypt = &c
		d.Local["keylocation"] = "prompt"
		if origin != nil && origin.ds.Crypt != nil {
			c.Root = origin.ds.Crypt.Root
		}
	case origin != nil && origin.ds.Crypt != nil:
		c := *origin.ds.Crypt
		d.Crypt = &c
	case f.set["encryption"] != "" && f.set["encryption"] != "off" || f.set["keyformat"] != "":
		props := map[string]string{}
		for _, n := range []string{"encryption", "keyformat", "keylocation", "pbkdf2iters"} {
			if v, ok := f.set[n]; ok {
				props[n] = v
			}
		}
		if !a.setupCrypt(d, parent, props, t.what) {
			return &recvError{t.what, "encryption failure"}
		}
		d.Local["keylocation"] = props["keylocation"]
	case parent.Crypt != nil && !(b.HasProps && f.set["encryption"] == "" && !f.exclude["encryption"]) && f.set["encryption"] != "off":
		if _, err := a.store.userKey(parent.Crypt.Root); err != nil {
			return &recvError{t.what, "inherited key must be loaded"}
		}
		if !a.inheritCrypt(d, parent) {
			return &recvError{t.what, "inherited key must be loaded"}
		}
	}
	if !b.Raw {
		var err error
		if t.key, err = a.store.masterKey(d); err != nil {
			return &recvError{t.what, "inherited key must be loaded"}
		}
	}
	if d.Crypt != nil && b.Embed && !b.Raw {
		return &recvError{t.what, embedRefused}
	}
	a.override(d, f)
	return a.openStage(t, d, b, f)
}

func (a *app) openStage(t *target, d *Dataset, b beginRecord, f receiveFlags) error {
	d.Stage = a.store.newID()
	st, err := a.store.newStage(a.store.data(d.pool, "recv", d.Stage), stageHead{Begin: b, Resumable: f.resumable, NewFS: t.newFS})
	if err != nil {
		return err
	}
	a.store.touch(d.pool)
	t.stage = st
	return nil
}
