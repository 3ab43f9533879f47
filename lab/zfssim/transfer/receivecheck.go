package transfer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
	"github.com/understudy-ha/understudy/lab/zfssim/stream"
)

const embedRefused = "incompatible embedded data stream feature with encrypted receive."

// checkReceiveProps refuses -o and -x of properties that can't be received.
func checkReceiveProps(f receiveFlags) string {
	table := model.Settable()
	names := slices.Concat(slices.Collect(maps.Keys(f.set)), slices.Collect(maps.Keys(f.exclude)))
	slices.Sort(names)
	for _, n := range names {
		c := model.Canonical(n)
		p, native := table[c]
		switch {
		case model.IsUserProperty(n):
		case c == "encryption" || c == "keyformat" || c == "keylocation" || c == "pbkdf2iters":
		case !native, p.Once, c == "version", c == "volsize":
			return fmt.Sprintf("cannot receive: invalid property '%s'", n)
		}
	}
	return ""
}

// target is a receive that has been allowed to begin.
type target struct {
	dsID   string
	what   string
	stage  *store.Stage
	newFS  bool
	skip   bool
	key    []byte // of the chunks received; nil in a raw receive
	limit  int64  // bytes that may still be stored
	dieAt  int64
	name   string
	resume bool
}

// prepare checks that the stream can be received and makes or finds its stage.
func prepare(a *app.App, b stream.BeginRecord, f receiveFlags, ds, snap string) (*target, error) {
	isNew := b.FromGUID == 0 || b.Clone || f.origin != ""
	t := &target{what: "cannot receive incremental stream", name: ds}
	switch {
	case b.Resuming:
		t.what = "cannot receive resume stream"
	case isNew:
		t.what = "cannot receive new filesystem stream"
	}
	refuse := func(why string) (*target, error) { return nil, &recvError{t.what, why} }
	var origin *model.Snapshot
	if f.origin != "" {
		if o, ok := a.Store.Find(f.origin); ok {
			origin = o.Snap
		}
	} else if b.Clone {
		origin = a.Store.SnapByGUID(ds, b.FromGUID)
		if origin == nil {
			return nil, &recvError{"cannot receive", fmt.Sprintf("local origin for clone %s@%s does not exist", ds, snap)}
		}
	}
	if origin != nil && f.verbose {
		if f.origin != "" {
			fmt.Fprintf(a.Out, "using provided clone origin %s\n", origin.Full())
		} else {
			fmt.Fprintf(a.Out, "found clone origin %s\n", origin.Full())
		}
	}
	o, exists := a.Store.Find(ds)
	if exists && isNew && !b.Resuming {
		return refuse(fmt.Sprintf("destination '%s' exists\nmust specify -F to overwrite it", ds))
	}
	if exists && isNew && !o.DS.Partial {
		return refuse(fmt.Sprintf("Resuming recv on existing destination '%s'\nmust specify -F to overwrite it", ds))
	}
	if exists && !isNew && b.Raw && o.DS.Crypt == nil {
		return refuse("cannot perform raw receive on top of existing unencrypted dataset")
	}
	var parent *model.Dataset
	if !exists {
		if !isNew || b.Resuming || !strings.Contains(ds, "/") {
			return refuse(fmt.Sprintf("destination '%s' does not exist", ds))
		}
		po, ok := a.Store.Find(model.ParentName(ds))
		if !ok {
			fmt.Fprintf(a.Err, "cannot open '%s': dataset does not exist\n", model.ParentName(ds))
			return refuse("unable to restore to destination")
		}
		if po.DS.Volume {
			return refuse(fmt.Sprintf("parent '%s' is not a filesystem", po.DS.Name))
		}
		parent = po.DS
	}
	if why := checkOverrides(a, b, f); why != "" {
		return refuse(why)
	}
	if f.dry {
		return t, nil
	}
	var err error
	if exists {
		err = prepareExisting(a, t, o.DS, b, f, snap, isNew)
	} else {
		err = prepareNew(a, t, parent, origin, b, f, ds)
	}
	if err != nil || t.skip {
		return t, err
	}
	t.limit = int64(1) << 62
	if d := a.Store.Pools[model.PoolOf(ds)].Datasets[ds]; d != nil {
		t.limit = int64(store.NewView(a.Store, a.Err).Available(d))
	}
	if n := a.Faults.Bytes("receive", "nospace-after", ds); n >= 0 {
		t.limit = n
	}
	t.dieAt = a.Faults.Bytes("receive", "die-after", ds)
	return t, nil
}

// checkOverrides checks -o against the type of the stream.
func checkOverrides(a *app.App, b stream.BeginRecord, f receiveFlags) string {
	table := model.Settable()
	kind := model.KindFilesystem
	if b.Volume {
		kind = model.KindVolume
	}
	for _, n := range slices.Sorted(maps.Keys(f.set)) {
		c := model.Canonical(n)
		crypt := c == "encryption" || c == "keyformat" || c == "keylocation" || c == "pbkdf2iters"
		if crypt && b.Raw {
			return fmt.Sprintf("encryption property '%s' cannot be set or excluded for raw streams.", n)
		}
		if crypt && b.FromGUID != 0 {
			return fmt.Sprintf("encryption property '%s' cannot be set for incremental streams.", n)
		}
		if p, native := table[c]; native && p.Kinds&kind == 0 {
			return fmt.Sprintf("property '%s' does not apply to datasets of this type", n)
		}
		if _, why := a.CheckValue(table, c, f.set[n], kind, true); why != "" {
			return why
		}
	}
	for n := range f.exclude {
		if p, native := table[model.Canonical(n)]; native && p.Kinds&kind == 0 {
			fmt.Fprintf(a.Err, "Warning: %s: property '%s' does not apply to datasets of this type\n", f.target, n)
		}
	}
	return ""
}

// prepareExisting allows an incremental or resumed stream, or refuses it.
func prepareExisting(a *app.App, t *target, d *model.Dataset, b stream.BeginRecord, f receiveFlags, snap string, isNew bool) error {
	refuse := func(why string) error { return &recvError{t.what, why} }
	t.dsID = d.ID
	busy := refuse("dataset is busy")
	if d.Stage != "" && !b.Resuming {
		if a.Store.ResumeToken(d) != "" {
			busy = refuse(fmt.Sprintf("destination %s contains partially-complete state from \"zfs receive -s\".", d.Name))
		}
		return busy
	}
	if a.Faults.Match("receive", "busy", d.Name) != nil {
		return busy
	}
	var err error
	if !b.Raw {
		if t.key, err = a.Store.MasterKey(d); err != nil {
			return refuse("inherited key must be loaded")
		}
	}
	if b.Resuming {
		return prepareResume(a, t, d, b, f)
	}
	if d.Crypt != nil && b.Embed && !b.Raw {
		return refuse(embedRefused)
	}
	if have := d.Snapshot(snap); have != nil {
		for _, s := range d.Snaps {
			if s.GUID == b.ToGUID {
				t.skip = true
				return nil
			}
		}
		return &recvError{fmt.Sprintf("cannot restore to %s@%s", d.Name, snap), "destination already exists"}
	}
	i := slices.IndexFunc(d.Snaps, func(s *model.Snapshot) bool { return s.GUID == b.FromGUID })
	if i < 0 {
		return refuse(fmt.Sprintf("most recent snapshot of %s does not\nmatch incremental source", d.Name))
	}
	changed, err := a.Store.Changed(d)
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
	return openStage(a, t, d, b, f)
}

func prepareResume(a *app.App, t *target, d *model.Dataset, b stream.BeginRecord, f receiveFlags) error {
	refuse := func(why string) error { return &recvError{t.what, why} }
	upgrade := "invalid backup stream"
	if f.resumable {
		upgrade = "kernel modules must be upgraded to receive this stream."
	}
	if d.Stage == "" {
		return refuse(upgrade)
	}
	st, err := a.Store.ReadStageHead(a.Store.Data(d.Pool, "recv", d.Stage))
	if err != nil {
		return err
	}
	if st.Head.Begin.ToGUID != b.ToGUID || st.Head.Begin.FromGUID != b.FromGUID {
		return refuse(upgrade)
	}
	if err := st.Open(); err != nil {
		return refuse("dataset is busy")
	}
	if err := st.ReadLog(); err != nil {
		return err
	}
	t.stage, t.resume, t.newFS = st, true, d.Partial
	if st.Object != b.Object || st.Offset != b.Offset {
		st.Close()
		return refuse("invalid backup stream")
	}
	return nil
}

// prepareNew makes the dataset that a full stream or a clone goes to.
func prepareNew(a *app.App, t *target, parent *model.Dataset, origin *model.Snapshot, b stream.BeginRecord, f receiveFlags, ds string) error {
	if origin != nil && b.FromGUID != 0 && origin.GUID != b.FromGUID {
		return &recvError{t.what, fmt.Sprintf("most recent snapshot of %s does not\nmatch incremental source", ds)}
	}
	d := a.Store.NewDataset(parent.Pool, ds, b.Volume)
	d.Partial = true
	if origin != nil {
		d.Origin, d.Family, d.Base = origin.Obj, origin.DS.Family, origin.Manifest
	}
	t.newFS, t.dsID = true, d.ID
	switch {
	case b.Raw:
		c := *b.Crypt
		c.Root = d.ID
		d.Crypt = &c
		d.Local["keylocation"] = "prompt"
		if origin != nil && origin.DS.Crypt != nil {
			c.Root = origin.DS.Crypt.Root
		}
	case origin != nil && origin.DS.Crypt != nil:
		c := *origin.DS.Crypt
		d.Crypt = &c
	case f.set["encryption"] != "" && f.set["encryption"] != "off" || f.set["keyformat"] != "":
		props := map[string]string{}
		for _, n := range []string{"encryption", "keyformat", "keylocation", "pbkdf2iters"} {
			if v, ok := f.set[n]; ok {
				props[n] = v
			}
		}
		if !a.SetupCrypt(d, parent, props, t.what) {
			return &recvError{t.what, "encryption failure"}
		}
		d.Local["keylocation"] = props["keylocation"]
	case parent.Crypt != nil && !(b.HasProps && f.set["encryption"] == "" && !f.exclude["encryption"]) && f.set["encryption"] != "off":
		if _, err := a.Store.UserKey(parent.Crypt.Root); err != nil {
			return &recvError{t.what, "inherited key must be loaded"}
		}
		if !a.InheritCrypt(d, parent) {
			return &recvError{t.what, "inherited key must be loaded"}
		}
	}
	if !b.Raw {
		var err error
		if t.key, err = a.Store.MasterKey(d); err != nil {
			return &recvError{t.what, "inherited key must be loaded"}
		}
	}
	if d.Crypt != nil && b.Embed && !b.Raw {
		return &recvError{t.what, embedRefused}
	}
	override(a, d, f)
	return openStage(a, t, d, b, f)
}

func openStage(a *app.App, t *target, d *model.Dataset, b stream.BeginRecord, f receiveFlags) error {
	d.Stage = a.Store.NewID()
	st, err := a.Store.NewStage(a.Store.Data(d.Pool, "recv", d.Stage), store.StageHead{Begin: b, Resumable: f.resumable, NewFS: t.newFS})
	if err != nil {
		return err
	}
	a.Store.Touch(d.Pool)
	t.stage = st
	return nil
}
