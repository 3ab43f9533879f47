package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// planOne plans a full stream or one from a snapshot, bookmark or origin.
func (a *app) planOne(f sendFlags, name string) ([]*sendStep, int) {
	from := f.from
	if from != "" && !strings.ContainsAny(from, "@#") {
		fmt.Fprintln(a.err, "Warning: incremental source didn't specify type, assuming snapshot. Use '@' or '#' prefix to avoid ambiguity.")
		from = "@" + from
	}
	if from != "" && (from[0] == '@' || from[0] == '#') {
		ds, _, _ := strings.Cut(name, "@")
		from = ds + from
	}
	o, ok := a.open(name, kindDataset)
	if !ok {
		return nil, 1
	}
	what := fmt.Sprintf("warning: cannot send '%s'", name)
	if o.snap == nil {
		return a.planHead(o.ds, from, what)
	}
	var base *point
	if from != "" {
		if strings.Contains(from, "@") {
			b, ok := a.open(from, kindDataset)
			if !ok {
				return nil, 1
			}
			if !earlier(b.snap, o.snap) {
				return nil, a.fail(what, "not an earlier snapshot from the same fs")
			}
		}
		b, found := a.store.find(from)
		if !found {
			return nil, a.fail(what, fmt.Sprintf("incremental source (%s) does not exist", from))
		}
		if b.mark != nil && (b.mark.TXG >= o.snap.TXG || b.ds != o.ds && !descends(o.ds, b.ds)) {
			return nil, a.fail(what, "not an earlier snapshot from the same fs")
		}
		base = pointOf(b)
	}
	step, code := a.plan(o.snap, base, f, what)
	if code != 0 {
		return nil, code
	}
	step.fromRef = from
	return []*sendStep{step}, 0
}

// planAll plans the streams of all snapshots behind -I's.
func (a *app) planAll(f sendFlags, name string) ([]*sendStep, int) {
	if strings.Contains(f.from, "#") {
		return nil, a.failf("Error: multiple snapshots cannot be sent from a bookmark.")
	}
	dsName, to, ok := strings.Cut(name, "@")
	if !ok {
		return nil, a.failf("Error: Unsupported flag with filesystem or bookmark.")
	}
	o, ok := a.open(dsName, fsVol)
	if !ok {
		return nil, 1
	}
	d := o.ds
	fromDS, from, at := strings.Cut(f.from, "@")
	if !at {
		fromDS, from = "", f.from
	}
	var base *point
	start := 0
	if origin := d.pool.snapByObj(d.Origin); origin != nil && at && origin.full() == f.from {
		base = pointOf(object{ds: origin.ds, snap: origin})
	} else {
		if fromDS != "" && fromDS != dsName {
			return nil, a.usageError("incremental source must be in same filesystem")
		}
		if _, ok := a.open(dsName+"@"+from, kindSnapshot); !ok {
			return nil, 1
		}
		start = slices.IndexFunc(d.Snaps, func(s *Snapshot) bool { return s.Name == from }) + 1
		base = pointOf(object{ds: d, snap: d.Snaps[start-1]})
	}
	if _, ok := a.open(name, kindSnapshot); !ok {
		return nil, 1
	}
	end := slices.IndexFunc(d.Snaps, func(s *Snapshot) bool { return s.Name == to })
	if end < start {
		if f.dry && f.parsable {
			fmt.Fprintf(a.out, "size\t0\n")
		}
		why := "does not exist" // so libzfs says, for it looks only up to the target
		if end == start-1 {
			why = "is not earlier than it"
		}
		fmt.Fprintf(a.err, "WARNING: could not send %s:\nincremental source (%s@%s) %s\n", name, dsName, from, why)
		return nil, 1
	}
	var steps []*sendStep
	prev := from
	if start == 0 {
		prev = ""
	}
	for _, s := range d.Snaps[start : end+1] {
		step, code := a.plan(s, base, f, fmt.Sprintf("warning: cannot send '%s'", s.full()))
		if code != 0 {
			return nil, code
		}
		step.fromRef = prev
		steps = append(steps, step)
		base, prev = pointOf(object{ds: d, snap: s}), s.Name
	}
	return steps, 0
}

// planResume plans the rest of a stream that was cut.
func (a *app) planResume(f sendFlags) ([]*sendStep, int) {
	const what = "cannot resume send"
	bad := func(why string) ([]*sendStep, int) { a.fail(what, why); return nil, 255 }
	t, why := decodeToken(f.token)
	if why != "" {
		return bad(why)
	}
	if f.verbose > 0 {
		w := a.err
		if f.dry {
			w = a.out
		}
		t.print(w)
	}
	snap := a.store.snapByGUID(t.ToName, t.ToGUID)
	if snap == nil {
		if _, ok := a.store.find(t.ToName); ok {
			return bad(fmt.Sprintf("'%s' is no longer the same snapshot used in the initial send", t.ToName))
		}
		return bad(fmt.Sprintf("'%s' used in the initial send no longer exists", t.ToName))
	}
	var base *point
	from := ""
	if t.FromGUID != 0 {
		b, ok := a.store.byGUID(t.ToName, t.FromGUID, true)
		if !ok {
			return bad(fmt.Sprintf("incremental source %#x no longer exists", t.FromGUID))
		}
		base, from = pointOf(b), b.name()
	}
	f.raw, f.compress, f.large, f.embed = f.raw || t.Raw, f.compress || t.Compress, f.large || t.Large, f.embed || t.Embed
	step, code := a.plan(snap, base, f, fmt.Sprintf("warning: cannot send '%s'", snap.full()))
	if code != 0 {
		return nil, 255
	}
	step.fromRef = from
	step.begin.ToName = t.ToName
	step.begin.Resuming, step.begin.Object, step.begin.Offset = true, t.Object, t.Offset
	if step.size > t.Bytes {
		step.size -= t.Bytes
	} else {
		step.size = 0
	}
	return []*sendStep{step}, 0
}

// point is a state that a stream can start from.
type point struct {
	guid     uint64
	manifest string
	ds       *Dataset
}

func pointOf(o object) *point {
	if o.mark != nil {
		return &point{o.mark.GUID, o.mark.Manifest, o.ds}
	}
	return &point{o.snap.GUID, o.snap.Manifest, o.ds}
}

// earlier says whether old comes before new in the history of new's dataset.
func earlier(old, new *Snapshot) bool {
	if old == nil || old.TXG >= new.TXG {
		return false
	}
	if old.ds == new.ds {
		return true
	}
	o := new.ds.pool.snapByObj(new.ds.Origin)
	if o == nil {
		return false
	}
	return o == old || earlier(old, o)
}

// snapByGUID finds a snapshot by guid: near the name first, then in its pool.
func (s *store) snapByGUID(near string, guid uint64) *Snapshot {
	o, ok := s.byGUID(near, guid, false)
	if !ok {
		return nil
	}
	return o.snap
}

func (s *store) byGUID(near string, guid uint64, marks bool) (object, bool) {
	ds, _, _ := strings.Cut(near, "@")
	pool, _, _ := strings.Cut(ds, "/")
	p := s.pools[pool]
	if p == nil {
		return object{}, false
	}
	try := func(d *Dataset) (object, bool) {
		for _, sn := range d.Snaps {
			if sn.GUID == guid {
				return object{ds: d, snap: sn}, true
			}
		}
		for _, b := range d.Marks {
			if marks && b.GUID == guid {
				return object{ds: d, mark: b}, true
			}
		}
		return object{}, false
	}
	if d := p.Datasets[ds]; d != nil {
		if o, ok := try(d); ok {
			return o, true
		}
	}
	for _, d := range p.sorted() {
		if o, ok := try(d); ok {
			return o, true
		}
	}
	return object{}, false
}

// plan works out what the stream of one snapshot contains.
func (a *app) plan(s *Snapshot, base *point, f sendFlags, what string) (*sendStep, int) {
	d := s.ds
	if d.Crypt != nil && !f.raw {
		if f.props {
			fmt.Fprintf(a.err, "cannot send %s: encrypted dataset %s may not be sent with properties without the raw flag\n", s.full(), d.Name)
			return nil, a.fail(what, "backup failed")
		}
		if !a.store.keyLoaded(d) && !f.dry {
			return nil, a.fail(what, "dataset key must be loaded")
		}
	}
	if a.faults.match("send", "busy", s.full()) != nil {
		return nil, a.fail(what, "dataset is busy")
	}
	var key []byte
	if !f.raw && !f.dry {
		var err error
		if key, err = a.store.masterKey(d); err != nil {
			return nil, a.fail(what, err.Error())
		}
	}
	step := &sendStep{name: s.full(), chunks: a.store.chunks(d, key)}
	step.begin = beginRecord{ToName: s.full(), ToGUID: s.GUID, Creation: s.Creation, Volume: d.Volume, VolSize: s.VolSize,
		Refer: s.Refer, Raw: f.raw && d.Crypt != nil, Compress: f.compress, Embed: f.embed,
		Large: f.large && hasLargeBlocks(d)}
	if d.Volume {
		step.begin.VolBlock = d.prop("volblocksize")
	}
	if step.begin.Raw {
		root := a.store.encryptionRoot(d)
		c := *d.Crypt
		c.KeyFormat, c.Iters, c.Salt = root.Crypt.KeyFormat, root.Crypt.Iters, root.Crypt.Salt
		step.begin.Crypt = &c
	}
	if f.props {
		step.begin.HasProps = true
		step.begin.Props = sentProperties(d)
		step.begin.SnapProps = maps.Clone(s.Local)
		if step.begin.SnapProps == nil {
			step.begin.SnapProps = maps.Clone(s.Received)
		}
	}
	var err error
	if step.to, err = a.store.manifest(d.pool, s.Manifest); err != nil {
		return nil, a.failf("zfssim: %v", err)
	}
	if base != nil {
		step.begin.FromGUID = base.guid
		step.begin.Clone = base.ds != d
		if step.base, err = a.store.manifest(d.pool, base.manifest); err != nil {
			return nil, a.failf("zfssim: %v", err)
		}
	}
	step.compare()
	if step.release, err = a.store.markSending(s); err != nil {
		return nil, a.failf("zfssim: %v", err)
	}
	return step, 0
}

// hasLargeBlocks says whether a stream can contain blocks of more than 128 KiB.
func hasLargeBlocks(d *Dataset) bool {
	n, err := strconv.ParseUint(d.prop("recordsize"), 10, 64)
	return err == nil && n > 128<<10 && !d.Volume
}

// sentProperties are the properties that go with a stream.
func sentProperties(d *Dataset) map[string]string {
	m := map[string]string{}
	table := settable()
	for n, v := range d.Received {
		if !d.Inherited[n] {
			m[n] = v
		}
	}
	for n, v := range d.Local {
		if table[n].once || n == "volsize" || n == "version" {
			continue
		}
		m[n] = v
	}
	return m
}
