package transfer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/stream"
)

// planOne plans a full stream or one from a snapshot, bookmark or origin.
func planOne(a *app.App, f sendFlags, name string) ([]*sendStep, int) {
	from := f.from
	if from != "" && !strings.ContainsAny(from, "@#") {
		fmt.Fprintln(a.Err, "Warning: incremental source didn't specify type, assuming snapshot. Use '@' or '#' prefix to avoid ambiguity.")
		from = "@" + from
	}
	if from != "" && (from[0] == '@' || from[0] == '#') {
		ds, _, _ := strings.Cut(name, "@")
		from = ds + from
	}
	o, ok := a.Open(name, model.KindDataset)
	if !ok {
		return nil, 1
	}
	what := fmt.Sprintf("warning: cannot send '%s'", name)
	if o.Snap == nil {
		return planHead(a, o.DS, from, what)
	}
	var base *point
	if from != "" {
		if strings.Contains(from, "@") {
			b, ok := a.Open(from, model.KindDataset)
			if !ok {
				return nil, 1
			}
			if !earlier(b.Snap, o.Snap) {
				return nil, a.Fail(what, "not an earlier snapshot from the same fs")
			}
		}
		b, found := a.Store.Find(from)
		if !found {
			return nil, a.Fail(what, fmt.Sprintf("incremental source (%s) does not exist", from))
		}
		if b.Mark != nil && (b.Mark.TXG >= o.Snap.TXG || b.DS != o.DS && !model.Descends(o.DS, b.DS)) {
			return nil, a.Fail(what, "not an earlier snapshot from the same fs")
		}
		base = pointOf(b)
	}
	step, code := plan(a, o.Snap, base, f, what)
	if code != 0 {
		return nil, code
	}
	step.fromRef = from
	return []*sendStep{step}, 0
}

// planAll plans the streams of all snapshots behind -I's.
func planAll(a *app.App, f sendFlags, name string) ([]*sendStep, int) {
	if strings.Contains(f.from, "#") {
		return nil, a.Failf("Error: multiple snapshots cannot be sent from a bookmark.")
	}
	dsName, to, ok := strings.Cut(name, "@")
	if !ok {
		return nil, a.Failf("Error: Unsupported flag with filesystem or bookmark.")
	}
	o, ok := a.Open(dsName, model.FsVol)
	if !ok {
		return nil, 1
	}
	d := o.DS
	fromDS, from, at := strings.Cut(f.from, "@")
	if !at {
		fromDS, from = "", f.from
	}
	var base *point
	start := 0
	if origin := d.Pool.SnapByObj(d.Origin); origin != nil && at && origin.Full() == f.from {
		base = pointOf(model.Object{DS: origin.DS, Snap: origin})
	} else {
		if fromDS != "" && fromDS != dsName {
			return nil, a.UsageError("incremental source must be in same filesystem")
		}
		if _, ok := a.Open(dsName+"@"+from, model.KindSnapshot); !ok {
			return nil, 1
		}
		start = slices.IndexFunc(d.Snaps, func(s *model.Snapshot) bool { return s.Name == from }) + 1
		base = pointOf(model.Object{DS: d, Snap: d.Snaps[start-1]})
	}
	if _, ok := a.Open(name, model.KindSnapshot); !ok {
		return nil, 1
	}
	end := slices.IndexFunc(d.Snaps, func(s *model.Snapshot) bool { return s.Name == to })
	if end < start {
		if f.dry && f.parsable {
			fmt.Fprintf(a.Out, "size\t0\n")
		}
		why := "does not exist" // so libzfs says, for it looks only up to the target
		if end == start-1 {
			why = "is not earlier than it"
		}
		fmt.Fprintf(a.Err, "WARNING: could not send %s:\nincremental source (%s@%s) %s\n", name, dsName, from, why)
		return nil, 1
	}
	var steps []*sendStep
	prev := from
	if start == 0 {
		prev = ""
	}
	for _, s := range d.Snaps[start : end+1] {
		step, code := plan(a, s, base, f, fmt.Sprintf("warning: cannot send '%s'", s.Full()))
		if code != 0 {
			return nil, code
		}
		step.fromRef = prev
		steps = append(steps, step)
		base, prev = pointOf(model.Object{DS: d, Snap: s}), s.Name
	}
	return steps, 0
}

// planResume plans the rest of a stream that was cut.
func planResume(a *app.App, f sendFlags) ([]*sendStep, int) {
	const what = "cannot resume send"
	bad := func(why string) ([]*sendStep, int) { a.Fail(what, why); return nil, 255 }
	t, why := stream.DecodeToken(f.token)
	if why != "" {
		return bad(why)
	}
	if f.verbose > 0 {
		w := a.Err
		if f.dry {
			w = a.Out
		}
		t.Print(w)
	}
	snap := a.Store.SnapByGUID(t.ToName, t.ToGUID)
	if snap == nil {
		if _, ok := a.Store.Find(t.ToName); ok {
			return bad(fmt.Sprintf("'%s' is no longer the same snapshot used in the initial send", t.ToName))
		}
		return bad(fmt.Sprintf("'%s' used in the initial send no longer exists", t.ToName))
	}
	var base *point
	from := ""
	if t.FromGUID != 0 {
		b, ok := a.Store.ByGUID(t.ToName, t.FromGUID, true)
		if !ok {
			return bad(fmt.Sprintf("incremental source %#x no longer exists", t.FromGUID))
		}
		base, from = pointOf(b), b.Name()
	}
	f.raw, f.compress, f.large, f.embed = f.raw || t.Raw, f.compress || t.Compress, f.large || t.Large, f.embed || t.Embed
	step, code := plan(a, snap, base, f, fmt.Sprintf("warning: cannot send '%s'", snap.Full()))
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
	DS       *model.Dataset
}

func pointOf(o model.Object) *point {
	if o.Mark != nil {
		return &point{o.Mark.GUID, o.Mark.Manifest, o.DS}
	}
	return &point{o.Snap.GUID, o.Snap.Manifest, o.DS}
}

// earlier reports whether old comes before new in the history of new's dataset.
func earlier(old, new *model.Snapshot) bool {
	if old == nil || old.TXG >= new.TXG {
		return false
	}
	if old.DS == new.DS {
		return true
	}
	o := new.DS.Pool.SnapByObj(new.DS.Origin)
	if o == nil {
		return false
	}
	return o == old || earlier(old, o)
}

// plan works out what the stream of one snapshot contains.
func plan(a *app.App, s *model.Snapshot, base *point, f sendFlags, what string) (*sendStep, int) {
	d := s.DS
	if d.Crypt != nil && !f.raw {
		if f.props {
			fmt.Fprintf(a.Err, "cannot send %s: encrypted dataset %s may not be sent with properties without the raw flag\n", s.Full(), d.Name)
			return nil, a.Fail(what, "backup failed")
		}
		if !a.Store.KeyLoaded(d) && !f.dry {
			return nil, a.Fail(what, "dataset key must be loaded")
		}
	}
	if a.Faults.Match("send", "busy", s.Full()) != nil {
		return nil, a.Fail(what, "dataset is busy")
	}
	var key []byte
	if !f.raw && !f.dry {
		var err error
		if key, err = a.Store.MasterKey(d); err != nil {
			return nil, a.Fail(what, err.Error())
		}
	}
	step := &sendStep{name: s.Full(), chunks: a.Store.Chunks(d, key)}
	step.begin = stream.BeginRecord{ToName: s.Full(), ToGUID: s.GUID, Creation: s.Creation, Volume: d.Volume, VolSize: s.VolSize,
		Refer: s.Refer, Raw: f.raw && d.Crypt != nil, Compress: f.compress, Embed: f.embed,
		Large: f.large && hasLargeBlocks(d)}
	if d.Volume {
		step.begin.VolBlock = d.Prop("volblocksize")
	}
	if step.begin.Raw {
		root := a.Store.EncryptionRoot(d)
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
	if step.to, err = a.Store.Manifest(d.Pool, s.Manifest); err != nil {
		return nil, a.Failf("zfssim: %v", err)
	}
	if base != nil {
		step.begin.FromGUID = base.guid
		step.begin.Clone = base.DS != d
		if step.base, err = a.Store.Manifest(d.Pool, base.manifest); err != nil {
			return nil, a.Failf("zfssim: %v", err)
		}
	}
	step.compare()
	if step.release, err = a.Store.MarkSending(s); err != nil {
		return nil, a.Failf("zfssim: %v", err)
	}
	return step, 0
}

// hasLargeBlocks reports whether a stream can contain blocks of more than 128 KiB.
func hasLargeBlocks(d *model.Dataset) bool {
	n, err := strconv.ParseUint(d.Prop("recordsize"), 10, 64)
	return err == nil && n > 128<<10 && !d.Volume
}

// sentProperties are the properties that go with a stream.
func sentProperties(d *model.Dataset) map[string]string {
	m := map[string]string{}
	table := model.Settable()
	for n, v := range d.Received {
		if !d.Inherited[n] {
			m[n] = v
		}
	}
	for n, v := range d.Local {
		if table[n].Once || n == "volsize" || n == "version" {
			continue
		}
		m[n] = v
	}
	return m
}
