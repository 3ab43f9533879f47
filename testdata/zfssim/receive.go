package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// receiveFlags are the flags of zfs receive.
type receiveFlags struct {
	resumable, noMount, verbose, dry bool
	prefix, tail                     bool
	set                              map[string]string // -o
	exclude                          map[string]bool   // -x
	origin                           string
	target                           string
}

// realBegin is the size of the first record of a real stream: what is shorter
// is not even looked at.
const realBegin = 312

const embedRefused = "incompatible embedded data stream feature with encrypted receive."

// recvError is a refusal: what could not be done and why.
type recvError struct{ what, why string }

func (e *recvError) Error() string { return e.what + ": " + e.why }

func cmdReceive(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "o:x:dehMnuvFsAc")
	if !ok {
		return 2
	}
	f := receiveFlags{set: map[string]string{}, exclude: map[string]bool{}}
	abort := false
	for _, o := range opts {
		switch o.flag {
		case 'o':
			n, v, ok := splitProperty(o.arg)
			if !ok {
				return a.usageError("missing '=' for property=value argument")
			}
			if _, twice := f.set[n]; twice || f.exclude[n] {
				return a.usageError("property '%s' specified multiple times", n)
			}
			if n == "origin" {
				f.origin = v
				continue
			}
			f.set[n] = v
		case 'x':
			if strings.Contains(o.arg, "=") {
				return a.usageError("invalid character '=' in property argument")
			}
			if _, twice := f.set[o.arg]; twice || f.exclude[o.arg] {
				return a.usageError("property '%s' specified multiple times", o.arg)
			}
			f.exclude[o.arg] = true
		case 's':
			f.resumable = true
		case 'u':
			f.noMount = true
		case 'v':
			f.verbose = true
		case 'n':
			f.dry = true
		case 'd':
			f.prefix = true
		case 'e':
			f.prefix, f.tail = true, true
		case 'A':
			abort = true
		case 'F':
			fmt.Fprintln(a.err, "zfssim: receive -F destroys data, and this project never uses it")
			return 2
		case 'c', 'M', 'h':
			fmt.Fprintf(a.err, "zfssim: receive -%c is not simulated\n", o.flag)
			return 2
		}
	}
	switch {
	case len(rest) < 1:
		return a.usageError("missing snapshot argument")
	case len(rest) > 1:
		return a.usageError("too many arguments")
	}
	f.target = rest[0]
	if abort {
		if f.prefix || f.dry || f.resumable || f.noMount {
			return a.usageError("invalid option")
		}
		return a.abortReceive(f.target)
	}
	if isTerminal(os.Stdin) {
		return a.failf("Error: Backup stream can not be read from a terminal.\nYou must redirect standard input.")
	}
	return a.receive(f)
}

func (a *app) abortReceive(name string) int {
	if !a.begin(true) {
		return 1
	}
	o, ok := a.open(name, fsVol)
	if !ok {
		return a.usage()
	}
	d := o.ds
	if a.store.resumeToken(d) == "" {
		return a.failf("'%s' does not have any resumable receive state to abort", name)
	}
	if a.store.receiving(d) {
		return a.fail(fmt.Sprintf("cannot destroy '%s/%%recv'", name), "dataset is busy")
	}
	p, family := d.pool, d.Family
	if err := a.store.abandon(d); err != nil {
		return a.failf("zfssim: %v", err)
	}
	a.store.later(func() error { return a.store.sweep(p, map[string]bool{family: true}) })
	if !a.commit() {
		return 1
	}
	return 0
}

// receive reads a stream from standard input.
func (a *app) receive(f receiveFlags) int {
	if why := checkReceiveProps(f); why != "" {
		return a.fail("cannot receive", why)
	}
	if f.origin != "" || f.prefix {
		if !a.begin(false) {
			return 1
		}
		if _, ok := a.store.find(f.target); f.prefix && !ok {
			return a.fail("cannot receive", fmt.Sprintf("specified fs (%s) does not exist", f.target))
		}
		if o, ok := a.store.find(f.origin); f.origin != "" && (!ok || o.mark != nil) {
			return a.fail("cannot receive", fmt.Sprintf("specified origin fs (%s) does not exist", f.origin))
		}
		a.store.end()
	}
	r := newRecordReader(a.in)
	if err := r.start(); err != nil {
		short, _ := r.r.Peek(realBegin - len(streamMagic))
		if errors.Is(err, errMagic) && len(short) == realBegin-len(streamMagic) {
			return a.fail("cannot receive", "invalid stream (bad magic number)")
		}
		return a.fail("cannot receive", "failed to read from stream")
	}
	var newTop *string
	code := 0
	wrapped, many := false, false
	sendFS := ""
	for {
		kind, payload, err := r.next()
		if err != nil {
			if code == 0 {
				a.fail("cannot receive", "failed to read from stream")
			}
			return 1
		}
		switch kind {
		case recPackage:
			var p packageRecord
			if jsonDecode(payload, &p) != nil {
				return a.fail("cannot receive", "invalid stream (malformed nvlist)")
			}
			wrapped, many = true, p.Many
			sendFS, _, _ = strings.Cut(p.ToName, "@")
			continue
		case recClose:
		case recBegin:
			var b beginRecord
			if jsonDecode(payload, &b) != nil {
				return a.fail("cannot receive", "invalid stream (malformed nvlist)")
			}
			if sendFS == "" {
				sendFS, _, _ = strings.Cut(b.ToName, "@")
			}
			if many && strings.Contains(f.target, "@") {
				return a.fail("cannot receive", "cannot specify snapshot name for multi-snapshot stream")
			}
			made, err := a.receiveOne(r, b, f, sendFS)
			if made != "" {
				newTop = &made
			}
			if err != nil {
				var re *recvError
				if errors.As(err, &re) {
					a.fail(re.what, re.why)
				} else {
					a.failf("zfssim: %v", err)
				}
				return 1
			}
		default:
			return a.fail("cannot receive", "invalid stream (bad magic number)")
		}
		if !wrapped || kind == recClose {
			break
		}
	}
	io.Copy(io.Discard, r.r) // let the sender finish
	if newTop != nil && !f.noMount && !f.dry {
		code = a.mountReceived(*newTop)
	}
	return code
}

func (a *app) mountReceived(name string) int {
	if !a.begin(true) {
		return 1
	}
	o, ok := a.store.find(name)
	if !ok || o.ds.Volume || !o.ds.mountable() {
		return 0
	}
	if !a.tryMount(o.ds, false) {
		a.commit()
		return 1
	}
	if !a.commit() {
		return 1
	}
	return 0
}

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

// destination is where one stream of a receive goes.
func destination(b beginRecord, f receiveFlags, sendFS string) (ds, snap string) {
	from, snap, _ := strings.Cut(b.ToName, "@")
	rest := strings.TrimPrefix(from, sendFS)
	if to, s, ok := strings.Cut(f.target, "@"); ok {
		return to, s
	}
	switch {
	case f.tail:
		rest = "/" + from[strings.LastIndexByte(from, '/')+1:]
	case f.prefix:
		rest = ""
		if i := strings.IndexByte(from, '/'); i >= 0 {
			rest = from[i:]
		}
	}
	return f.target + rest, snap
}

// receiveOne receives one snapshot; made is the name of a filesystem that is
// new and wants to be mounted.
func (a *app) receiveOne(r *recordReader, b beginRecord, f receiveFlags, sendFS string) (made string, err error) {
	ds, snap := destination(b, f, sendFS)
	if why := checkName(ds+"@"+snap, kindSnapshot, false); why != "" {
		return "", &recvError{"cannot receive", "invalid name"}
	}
	if !a.begin(true) {
		return "", errors.New("no store")
	}
	t, err := a.prepare(b, f, ds, snap)
	if err != nil {
		a.store.end()
		return "", err
	}
	if f.verbose {
		verb, kind := "receiving", "full"
		if f.dry {
			verb = "would receive"
		}
		if b.FromGUID != 0 {
			kind = "incremental"
		}
		fmt.Fprintf(a.out, "%s %s stream of %s into %s@%s\n", verb, kind, b.ToName, ds, snap)
		a.out.Flush()
	}
	if f.dry || t.skip {
		if t.skip && f.verbose {
			fmt.Fprintf(a.out, "snap %s@%s already exists; ignoring\n", ds, snap)
		}
		a.store.end()
		return "", skipStream(r)
	}
	if err := a.store.commit(); err != nil {
		return "", err
	}
	a.store.end()
	defer t.stage.close()
	started := time.Now()
	rerr := t.read(a, r, b)
	if !a.begin(true) {
		return "", errors.New("no store")
	}
	if rerr == nil {
		rerr = a.finishReceive(t, b, f, ds, snap)
	}
	if rerr != nil {
		return "", a.receiveFailed(t, rerr, ds)
	}
	if err := a.store.commit(); err != nil {
		return "", err
	}
	a.store.end()
	if f.verbose {
		took := time.Since(started).Seconds()
		fmt.Fprintf(a.out, "received %s stream in %.2f seconds (%s/sec)\n", niceBytes(t.stage.bytes), took,
			niceBytes(uint64(float64(t.stage.bytes)/took)))
	}
	if t.newFS {
		return ds, nil
	}
	return "", nil
}

func skipStream(r *recordReader) error {
	for {
		kind, _, err := r.next()
		if err != nil {
			return &recvError{"cannot receive", "failed to read from stream"}
		}
		if kind == recEnd {
			return nil
		}
	}
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
		t.limit = int64(newView(a).available(d))
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
	st, err := readStageHead(a.store.data(d.pool, "recv", d.Stage))
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
	d.Stage = newID()
	st, err := newStage(a.store.data(d.pool, "recv", d.Stage), stageHead{Begin: b, Resumable: f.resumable, NewFS: t.newFS})
	if err != nil {
		return err
	}
	a.store.touch(d.pool)
	t.stage = st
	return nil
}

// read takes the records of one snapshot into the stage.
func (t *target) read(a *app, r *recordReader, b beginRecord) error {
	st := t.stage
	cs := st.chunks(t.key)
	start := r.n
	before := st.bytes
	for {
		kind, payload, err := r.next()
		if err != nil {
			return err
		}
		if t.dieAt >= 0 && r.n-start > t.dieAt {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		st.bytes = before + uint64(r.n-start)
		switch kind {
		case recEnd:
			return nil
		case recRemove:
			if err := st.note(logLine{Remove: slices.Clone(payload)}); err != nil {
				return err
			}
		case recFile:
			var f fileRecord
			if jsonDecode(payload, &f) != nil || f.Entry == nil {
				return errChecksum
			}
			if err := st.note(logLine{File: &f}); err != nil {
				return err
			}
		case recData:
			place, id, data, err := parseDataRecord(payload)
			if err != nil {
				return errChecksum
			}
			added := uint64(0)
			if b.Raw {
				added, err = cs.putRaw(id, data)
			} else {
				id, added, err = cs.put(data)
			}
			if err != nil {
				return err
			}
			if t.limit -= int64(added); t.limit < 0 {
				return syscall.ENOSPC
			}
			if err := st.note(logLine{Chunk: id, Place: place}); err != nil {
				return err
			}
		default:
			return errChecksum
		}
	}
}

// finishReceive turns the stage into a snapshot.
func (a *app) finishReceive(t *target, b beginRecord, f receiveFlags, ds, snap string) error {
	s := a.store
	o, ok := s.find(ds)
	if !ok || o.ds.ID != t.dsID || o.ds.Stage == "" {
		return &recvError{t.what, "dataset does not exist"}
	}
	d := o.ds
	if d.snapshot(snap) != nil {
		return &recvError{fmt.Sprintf("cannot restore to %s@%s", ds, snap), "destination already exists"}
	}
	if changed, err := s.changed(d); err != nil {
		return err
	} else if changed > 0 {
		return &recvError{t.what, fmt.Sprintf("destination %s has been modified\nsince most recent snapshot", ds)}
	}
	base, err := s.manifest(d.pool, d.Base)
	if err != nil {
		return err
	}
	m, added, err := t.stage.finish(base, s.chunks(d, t.key))
	if err != nil {
		return err
	}
	id, err := s.saveManifest(d.pool, m)
	if err != nil {
		return err
	}
	sn := &Snapshot{Name: snap, GUID: b.ToGUID, TXG: d.pool.nextTXG(), Creation: b.Creation, Obj: d.pool.nextObj(),
		Manifest: id, Refer: m.size(), Written: t.stage.bytes, VolSize: b.VolSize, ds: d}
	if b.HasProps {
		sn.Received = b.SnapProps
		d.Received = nil
		for n, v := range b.Props {
			if !f.exclude[n] || isUserProperty(n) || settable()[n].inherit {
				d.setReceived(n, v)
			}
		}
	}
	d.Snaps = append(d.Snaps, sn)
	d.pool.origins = nil
	if loc := b.Props["keylocation"]; loc != "" {
		delete(d.Received, "keylocation")
		if d.Crypt != nil && d.Crypt.Root == d.ID {
			d.Local["keylocation"] = loc
		}
	}
	d.Base, d.Live, d.Partial = id, false, false
	d.Stored += added
	if b.Volume {
		d.Local["volsize"] = b.VolSize
		if b.VolBlock != "" && b.VolBlock != settable()["volblocksize"].def {
			d.Local["volblocksize"] = b.VolBlock
		}
	}
	a.override(d, f)
	dir := s.data(d.pool, "recv", d.Stage)
	d.Stage = ""
	s.touch(d.pool)
	s.later(func() error { return os.RemoveAll(dir) })
	s.later(func() error { return s.restore(d) })
	return nil
}

// override applies -o and -x.
func (a *app) override(d *Dataset, f receiveFlags) {
	table := settable()
	kind := kindFilesystem
	if d.Volume {
		kind = kindVolume
	}
	for n, v := range f.set {
		c := canonical(n)
		if c == "encryption" || c == "keyformat" || c == "keylocation" || c == "pbkdf2iters" {
			continue
		}
		if val, why := a.checkValue(table, c, v, kind, true); why == "" {
			d.setLocal(c, val)
		}
	}
	for n := range f.exclude {
		c := canonical(n)
		if _, local := d.Local[c]; !local {
			d.setInherited(c)
		}
	}
}

// receiveFailed keeps or drops what has arrived and says what happened.
func (a *app) receiveFailed(t *target, cause error, ds string) error {
	s := a.store
	s.dirty, s.after = map[string]bool{}, nil
	a.store.end()
	if !a.begin(true) { // the stage stays locked, or it would be cleared away here
		return cause
	}
	defer a.store.end()
	o, ok := s.find(ds)
	if !ok || o.ds.ID != t.dsID {
		return cause
	}
	d := o.ds
	keep := t.stage.head.Resumable && len(t.stage.entries) > 0
	if !keep {
		p, fam := d.pool, d.Family
		if err := s.abandon(d); err != nil {
			return err
		}
		s.later(func() error { return s.sweep(p, map[string]bool{fam: true}) })
	}
	why := cause.Error()
	switch {
	case errors.Is(cause, errTruncated), errors.Is(cause, errChecksum):
		if keep {
			why = fmt.Sprintf("checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\n"+
				"A resuming stream can be generated on the sending system by running:\n    zfs send -t %s", s.resumeToken(d))
		}
	case errors.Is(cause, syscall.ENOSPC):
		why = "out of space"
	}
	if err := s.commit(); err != nil {
		return err
	}
	var re *recvError
	if errors.As(cause, &re) {
		return re
	}
	if _, bare := cause.(syscall.Errno); !bare && !errors.Is(cause, errTruncated) && !errors.Is(cause, errChecksum) {
		return fmt.Errorf("%s: %w", t.what, cause)
	}
	return &recvError{t.what, why}
}
