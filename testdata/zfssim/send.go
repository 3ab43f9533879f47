package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// sendFlags are the flags of zfs send.
type sendFlags struct {
	from                   string
	all                    bool // -I
	props                  bool
	raw                    bool
	compress, large, embed bool
	parsable, dry          bool
	verbose                int
	token                  string
}

// sendStep is the stream of one snapshot, planned under the lock.
type sendStep struct {
	begin   beginRecord
	base    manifest
	to      manifest
	files   []fileRecord
	removed [][]byte
	size    uint64
	chunks  chunkStore
	fromRef string // as it is printed
	name    string
	release func()
}

func cmdSend(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "i:I:RsDpVvnPLeht:cwbd:SX:")
	if !ok {
		return 2
	}
	var f sendFlags
	for _, o := range opts {
		switch o.flag {
		case 'i', 'I':
			if f.from != "" {
				return a.usage()
			}
			f.from, f.all = o.arg, o.flag == 'I'
		case 'p':
			f.props = true
		case 'P':
			f.parsable = true
		case 'v':
			f.verbose++
		case 'n':
			f.dry = true
		case 'L':
			f.large = true
		case 'e':
			f.embed = true
		case 'c':
			f.compress = true
		case 'w':
			f.raw, f.compress, f.embed, f.large = true, true, true, true
		case 't':
			f.token = o.arg
		case 'R', 's', 'b', 'h', 'S', 'd', 'X':
			fmt.Fprintf(a.err, "zfssim: send -%c is not simulated: the project sends each dataset by itself\n", o.flag)
			return 2
		}
	}
	if f.parsable && f.verbose == 0 {
		f.verbose = 1
	}
	if f.token != "" {
		if f.from != "" || f.props {
			return a.usageError("invalid flags combined with -t")
		}
		if len(rest) > 0 {
			return a.usageError("too many arguments")
		}
	} else if len(rest) < 1 {
		return a.usageError("missing snapshot argument")
	} else if len(rest) > 1 {
		return a.usageError("too many arguments")
	}
	if st, err := os.Stdout.Stat(); err == nil && !f.dry && st.Mode()&os.ModeCharDevice != 0 && st.Mode()&os.ModeDevice != 0 && isTerminal(os.Stdout) {
		return a.failf("Error: Stream can not be written to a terminal.\nYou must redirect standard output.")
	}
	if !a.begin(true) {
		return 1
	}
	var steps []*sendStep
	var code int
	switch {
	case f.token != "":
		steps, code = a.planResume(f)
	case f.all:
		steps, code = a.planAll(f, rest[0])
	default:
		steps, code = a.planOne(f, rest[0])
	}
	if code != 0 {
		return code
	}
	info := a.err
	if f.dry {
		info = a.out
	}
	if f.verbose > 0 {
		a.printEstimate(info, steps, f)
	}
	defer func() {
		for _, s := range steps {
			s.release()
		}
	}()
	if f.dry {
		return 0
	}
	if !a.commit() {
		return 1
	}
	return a.stream(steps, f)
}

func (a *app) printEstimate(w io.Writer, steps []*sendStep, f sendFlags) {
	total := uint64(0)
	for _, s := range steps {
		total += s.size
		if f.parsable {
			if s.fromRef != "" {
				fmt.Fprintf(w, "incremental\t%s\t%s\t%d\n", s.fromRef, s.name, s.size)
			} else {
				fmt.Fprintf(w, "full\t%s\t%d\n", s.name, s.size)
			}
			continue
		}
		if s.fromRef != "" {
			from := s.fromRef
			if !strings.ContainsAny(from, "@#") {
				from = "@" + from
			}
			fmt.Fprintf(w, "send from %s to %s", from, s.name)
		} else {
			fmt.Fprintf(w, "full send of %s", s.name)
		}
		if s.size != 0 {
			fmt.Fprintf(w, " estimated size is %s", niceBytes(s.size))
		}
		fmt.Fprintln(w)
	}
	if f.parsable {
		fmt.Fprintf(w, "size\t%d\n", total)
	} else {
		fmt.Fprintf(w, "total estimated size is %s\n", niceBytes(total))
	}
}

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
		return nil, a.fail(what, "zfssim: only snapshots can be sent")
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

// compare lists what differs between the base and the snapshot. Of a file
// with new contents only the chunks that differ go.
func (s *sendStep) compare() {
	s.size = 624
	base := s.base.byPath()
	kept := map[string]bool{}
	for _, e := range s.to {
		old := base[string(e.Path)]
		kept[string(e.Path)] = true
		if old != nil && old.same(e) {
			continue
		}
		bare := *e
		bare.Chunks = nil
		f := fileRecord{Object: uint64(len(s.files) + 1), Entry: &bare, Chunks: len(e.Chunks)}
		for i, c := range e.Chunks {
			switch {
			case c == hole:
				f.Holes = addRange(f.Holes, i)
			case old != nil && i < len(old.Chunks) && old.Chunks[i] == c && chunkLen(e, i) == chunkLen(old, i):
				f.Keep = addRange(f.Keep, i)
			default:
				s.size += uint64(chunkLen(e, i)) + 312
			}
		}
		s.size += 312
		s.files = append(s.files, f)
	}
	for _, e := range s.base {
		if !kept[string(e.Path)] {
			s.removed = append(s.removed, e.Path)
			s.size += 312
		}
	}
}

func chunkLen(e *entry, i int) int { return int(min(chunkSize, e.Size-int64(i)*chunkSize)) }

func addRange(r [][2]int, i int) [][2]int {
	if n := len(r); n > 0 && r[n-1][1] == i {
		r[n-1][1]++
		return r
	}
	return append(r, [2]int{i, i + 1})
}

func inRange(r [][2]int, i int) bool {
	for _, x := range r {
		if i >= x[0] && i < x[1] {
			return true
		}
	}
	return false
}

// errDie ends the process as a kill would.
var errDie = errors.New("killed by a fault")

// dyingWriter passes n bytes on and fails then.
type dyingWriter struct {
	w    io.Writer
	left int64
}

func (d *dyingWriter) Write(b []byte) (int, error) {
	if int64(len(b)) > d.left {
		n, _ := d.w.Write(b[:d.left])
		d.left = 0
		return n, errDie
	}
	d.left -= int64(len(b))
	return d.w.Write(b)
}

// stream writes the planned streams to standard output.
func (a *app) stream(steps []*sendStep, f sendFlags) int {
	last := steps[len(steps)-1]
	var out io.Writer = os.Stdout
	if n := a.faults.bytes("send", "die-after", last.name); n >= 0 {
		out = &dyingWriter{out, n}
	}
	vanish := a.faults.match("send", "vanish", last.name)
	if vanish != nil {
		out = &dyingWriter{out, int64(last.size / 2)}
	}
	w := &recordWriter{w: bufio.NewWriterSize(out, 256<<10)}
	err := a.writeSteps(w, steps, f)
	if err == nil {
		err = w.w.Flush()
	}
	what := fmt.Sprintf("warning: cannot send '%s'", last.name)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errDie) && vanish != nil:
		a.vanish(last.name)
		return a.fail(what, "dataset does not exist")
	case errors.Is(err, errDie):
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		return 1
	default:
		a.fail(what, strerror(err))
	}
	if f.token != "" {
		return 255
	}
	return 1
}

// vanish removes a snapshot behind the sender's back.
func (a *app) vanish(name string) {
	if !a.begin(true) {
		return
	}
	if o, ok := a.store.find(name); ok && o.snap != nil {
		o.snap.drop()
		a.store.touch(o.ds.pool)
		a.commit()
	}
}

func (a *app) writeSteps(w *recordWriter, steps []*sendStep, f sendFlags) error {
	if _, err := w.w.WriteString(streamMagic); err != nil {
		return err
	}
	wrapped := f.all || f.props
	if wrapped {
		if err := w.writeJSON(recPackage, packageRecord{ToName: steps[len(steps)-1].name, Many: len(steps) > 1}); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := s.write(w); err != nil {
			return err
		}
	}
	if wrapped {
		return w.write(recClose, nil)
	}
	return nil
}

// write sends one snapshot, from the resume point on if there is one.
func (s *sendStep) write(w *recordWriter) error {
	if err := w.writeJSON(recBegin, s.begin); err != nil {
		return err
	}
	if !s.begin.Resuming || s.begin.Object == 0 {
		for _, path := range s.removed {
			if err := w.write(recRemove, path); err != nil {
				return err
			}
		}
	}
	entries := s.to.byPath()
	for _, f := range s.files {
		if s.begin.Resuming && f.Object < s.begin.Object {
			continue
		}
		first := 0
		if s.begin.Resuming && f.Object == s.begin.Object {
			f.Offset = s.begin.Offset
			first = int(s.begin.Offset / chunkSize)
		}
		if err := w.writeJSON(recFile, f); err != nil {
			return err
		}
		e := entries[string(f.Entry.Path)]
		for i := first; i < len(e.Chunks); i++ {
			if inRange(f.Keep, i) || inRange(f.Holes, i) {
				continue
			}
			if err := s.writeChunk(w, e, i); err != nil {
				return err
			}
		}
	}
	return w.write(recEnd, nil)
}

func (s *sendStep) writeChunk(w *recordWriter, e *entry, i int) error {
	id := ""
	var data []byte
	var err error
	if s.begin.Raw {
		id = e.Chunks[i]
		data, err = s.chunks.getRaw(id)
	} else {
		data, err = s.chunks.get(e.Chunks[i], chunkLen(e, i))
	}
	if err != nil {
		return err
	}
	return w.write(recData, dataRecord(i, id, data))
}
