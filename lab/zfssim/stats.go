package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// view answers questions about properties; it caches what is costly for the
// time of one command.
type view struct {
	store   *store
	err     io.Writer // for what cannot be answered
	table   map[string]property
	mounts  map[string][]string
	changes map[*Dataset]uint64
	own     map[*Dataset]space
	clones  map[*Pool]map[uint64]int
}

func newView(s *store, err io.Writer) *view {
	return &view{store: s, err: err, table: settable(), changes: map[*Dataset]uint64{}, own: map[*Dataset]space{}, clones: map[*Pool]map[uint64]int{}}
}

// value returns a property of an object, whence it comes, and whether objects
// of this kind have it. literal asks for exact numbers.
func (v *view) value(o object, name string, literal bool) (string, source, bool) {
	none := source{kind: "-"}
	number := func(n uint64) (string, source, bool) {
		if literal {
			return strconv.FormatUint(n, 10), none, true
		}
		return nice(n), none, true
	}
	size := func(n uint64) (string, source, bool) {
		if literal {
			return strconv.FormatUint(n, 10), none, true
		}
		return niceBytes(n), none, true
	}
	exact := func(n uint64) (string, source, bool) { return strconv.FormatUint(n, 10), none, true }
	text := func(s string) (string, source, bool) { return s, none, true }
	no := func() (string, source, bool) { return "", none, false }
	d, k := o.ds, o.kind()
	isDS := k&fsVol != 0
	switch name {
	case "name":
		return text(o.name())
	case "type":
		return text(o.kindName())
	case "guid":
		return exact(o.guid())
	case "createtxg":
		return exact(o.txg())
	case "creation":
		if literal {
			return exact(uint64(o.creation()))
		}
		t := time.Unix(o.creation(), 0)
		return text(fmt.Sprintf("%s %2d %2d:%02d %d", t.Format("Mon Jan"), t.Day(), t.Hour(), t.Minute(), t.Year()))
	}
	if k == kindBookmark {
		if isUserProperty(name) || name != "logicalreferenced" && name != "referenced" {
			return no()
		}
		return size(0)
	}
	switch name {
	case "objsetid":
		if o.snap != nil {
			return exact(o.snap.Obj)
		}
		return exact(d.Obj)
	case "used":
		if o.snap != nil {
			return size(v.snapUsed(o.snap))
		}
		return size(v.used(d))
	case "referenced", "logicalreferenced":
		if o.snap != nil {
			return size(o.snap.Refer)
		}
		return size(v.space(d).refer)
	case "logicalused":
		if !isDS {
			return no()
		}
		return number(v.used(d))
	case "compressratio", "refcompressratio":
		if literal {
			return text("1.00")
		}
		return text("1.00x")
	case "written":
		if o.snap != nil {
			return size(o.snap.Written)
		}
		if d.latest() == nil && d.Origin == 0 {
			return size(v.space(d).refer)
		}
		return size(v.changed(d) + claimed(d))
	case "inconsistent":
		return exact(boolNumber(isDS && d.Partial))
	case "redacted":
		return exact(0)
	case "encryptionroot":
		if d.Crypt == nil {
			return text("-")
		}
		return text(v.store.encryptionRoot(d).Name)
	case "keystatus":
		if d.Crypt == nil {
			return text("-")
		}
		if v.store.keyLoaded(d) {
			return text("available")
		}
		return text("unavailable")
	case "encryption":
		if d.Crypt != nil {
			return text(d.Crypt.Suite)
		}
		return "off", source{kind: "default"}, true
	}
	if o.snap != nil {
		return v.snapValue(o, name, literal)
	}
	switch name {
	case "available":
		return size(v.available(d))
	case "usedbydataset":
		return size(v.space(d).refer)
	case "usedbysnapshots":
		return size(v.space(d).snaps)
	case "usedbychildren":
		return size(v.used(d) - v.ownUsed(d))
	case "usedbyrefreservation":
		return size(v.space(d).reserve)
	case "mounted":
		if d.Volume {
			return no()
		}
		return text(yesNo(len(v.mountTable()[d.ID]) > 0))
	case "origin":
		if s := d.pool.snapByObj(d.Origin); s != nil {
			return text(s.full())
		}
		return text("-")
	case "receive_resume_token":
		if t := v.store.resumeToken(d); t != "" {
			return text(t)
		}
		return text("-")
	case "mountpoint":
		if d.Volume {
			return no()
		}
		mp, src := d.mountpoint()
		return mp, src, true
	case "keyformat", "pbkdf2iters", "keylocation":
		return v.cryptValue(d, name)
	case "snapshots_changed":
		if s := d.latest(); s != nil {
			return exact(uint64(s.Creation))
		}
		return no()
	}
	if written, ok := v.writtenSince(d, name); ok {
		s, _, _ := size(written)
		return s, source{kind: "local"}, true
	}
	p, native := v.table[name]
	if native && p.kinds&k == 0 {
		return no()
	}
	if fixedAtCreation(name) {
		return text(d.prop(name))
	}
	val, src, ok := d.stored(v.table, name)
	if !ok {
		return no()
	}
	if native && p.number {
		val = showNumber(name, val, literal)
	}
	return val, src, true
}

// fixedAtCreation tells the properties of a file system's format, which have
// no source.
func fixedAtCreation(name string) bool {
	switch name {
	case "version", "utf8only", "normalization", "casesensitivity":
		return true
	}
	return false
}

// showNumber prints a stored number the way its property is printed.
func showNumber(name, val string, literal bool) string {
	n, err := strconv.ParseUint(val, 10, 64)
	if err != nil {
		return val
	}
	switch name {
	case "filesystem_limit", "snapshot_limit":
		if n == ^uint64(0) {
			return "none"
		}
	case "quota", "refquota", "reservation", "refreservation":
		if n == 0 && !literal {
			return "none"
		}
	}
	if literal {
		return val
	}
	return nice(n)
}

func (v *view) cryptValue(d *Dataset, name string) (string, source, bool) {
	none := source{kind: "-"}
	if d.Crypt == nil {
		switch name {
		case "keyformat", "keylocation":
			return "none", source{kind: "default"}, true
		}
		return "0", source{kind: "default"}, true
	}
	root := v.store.encryptionRoot(d)
	switch name {
	case "keyformat":
		return root.Crypt.KeyFormat, none, true
	case "pbkdf2iters":
		return strconv.Itoa(root.Crypt.Iters), none, true
	}
	if root != d {
		return "none", source{kind: "default"}, true
	}
	loc := d.Local["keylocation"]
	if loc == "" {
		loc = "prompt"
	}
	return loc, source{kind: "local"}, true
}

func (v *view) snapValue(o object, name string, literal bool) (string, source, bool) {
	none := source{kind: "-"}
	s := o.snap
	switch name {
	case "userrefs":
		return strconv.Itoa(len(s.Holds)), none, true
	case "numclones":
		if v.clones[o.ds.pool] == nil {
			v.clones[o.ds.pool] = o.ds.pool.cloneCounts()
		}
		return strconv.Itoa(v.clones[o.ds.pool][s.Obj]), none, true
	case "clones":
		var names []string
		for _, c := range s.clones() {
			names = append(names, c.Name)
		}
		return strings.Join(names, ","), none, true
	case "defer_destroy":
		return onOffText(s.Defer), none, true
	case "volsize":
		if !o.ds.Volume {
			return "", none, false
		}
		return showNumber(name, s.VolSize, literal), source{kind: "local"}, true
	}
	p, native := v.table[name]
	if native {
		if p.kinds&kindSnapshot == 0 || o.ds.Volume && p.kinds&kindVolume == 0 {
			return "", none, false
		}
	} else if !isUserProperty(name) {
		return "", none, false
	}
	if fixedAtCreation(name) {
		return o.ds.prop(name), none, true
	}
	if val, ok := s.Local[name]; ok {
		return val, source{kind: "local"}, true
	}
	if val, ok := s.Received[name]; ok {
		return val, source{kind: "received"}, true
	}
	val, src, ok := o.ds.stored(v.table, name)
	if ok && (src.kind == "local" || src.kind == "received") {
		src = source{"inherited", o.ds.Name}
	}
	if native && p.number {
		val = showNumber(name, val, literal)
	}
	return val, src, ok
}

func (v *view) mountTable() map[string][]string {
	if v.mounts == nil {
		v.mounts = v.store.m.Mounts.Table()
	}
	return v.mounts
}

func boolNumber(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func onOffText(b bool) string {
	if b {
		return "on"
	}
	return "off"
}
