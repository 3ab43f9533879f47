package store

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// View answers questions about properties; it caches what is costly for the
// time of one command.
type View struct {
	Store   *Store
	err     io.Writer // for what cannot be answered
	Table   map[string]model.Property
	mounts  map[string][]string
	changes map[*model.Dataset]uint64
	own     map[*model.Dataset]space
	clones  map[*model.Pool]map[uint64]int
}

func NewView(s *Store, err io.Writer) *View {
	return &View{Store: s, err: err, Table: model.Settable(), changes: map[*model.Dataset]uint64{}, own: map[*model.Dataset]space{}, clones: map[*model.Pool]map[uint64]int{}}
}

// Value returns a property of an object, whence it comes, and whether objects
// of this kind have it. literal asks for exact numbers.
func (v *View) Value(o model.Object, name string, literal bool) (string, model.Source, bool) {
	none := model.Source{Kind: "-"}
	number := func(n uint64) (string, model.Source, bool) {
		if literal {
			return strconv.FormatUint(n, 10), none, true
		}
		return model.Nice(n), none, true
	}
	size := func(n uint64) (string, model.Source, bool) {
		if literal {
			return strconv.FormatUint(n, 10), none, true
		}
		return model.NiceBytes(n), none, true
	}
	exact := func(n uint64) (string, model.Source, bool) { return strconv.FormatUint(n, 10), none, true }
	text := func(s string) (string, model.Source, bool) { return s, none, true }
	no := func() (string, model.Source, bool) { return "", none, false }
	d, k := o.DS, o.Kind()
	isDS := k&model.FsVol != 0
	switch name {
	case "name":
		return text(o.Name())
	case "type":
		return text(o.KindName())
	case "guid":
		return exact(o.Guid())
	case "createtxg":
		return exact(o.Txg())
	case "creation":
		if literal {
			return exact(uint64(o.Creation()))
		}
		t := time.Unix(o.Creation(), 0)
		return text(fmt.Sprintf("%s %2d %2d:%02d %d", t.Format("Mon Jan"), t.Day(), t.Hour(), t.Minute(), t.Year()))
	}
	if k == model.KindBookmark {
		if model.IsUserProperty(name) || name != "logicalreferenced" && name != "referenced" {
			return no()
		}
		return size(0)
	}
	switch name {
	case "objsetid":
		if o.Snap != nil {
			return exact(o.Snap.Obj)
		}
		return exact(d.Obj)
	case "used":
		if o.Snap != nil {
			return size(v.SnapUsed(o.Snap))
		}
		return size(v.Used(d))
	case "referenced", "logicalreferenced":
		if o.Snap != nil {
			return size(o.Snap.Refer)
		}
		return size(v.space(d).refer)
	case "logicalused":
		if !isDS {
			return no()
		}
		return number(v.Used(d))
	case "compressratio", "refcompressratio":
		if literal {
			return text("1.00")
		}
		return text("1.00x")
	case "written":
		if o.Snap != nil {
			return size(o.Snap.Written)
		}
		if d.Latest() == nil && d.Origin == 0 {
			return size(v.space(d).refer)
		}
		return size(v.changed(d) + model.Claimed(d))
	case "inconsistent":
		return exact(model.BoolNumber(isDS && d.Partial))
	case "redacted":
		return exact(0)
	case "encryptionroot":
		if d.Crypt == nil {
			return text("-")
		}
		return text(v.Store.EncryptionRoot(d).Name)
	case "keystatus":
		if d.Crypt == nil {
			return text("-")
		}
		if v.Store.KeyLoaded(d) {
			return text("available")
		}
		return text("unavailable")
	case "encryption":
		if d.Crypt != nil {
			return text(d.Crypt.Suite)
		}
		return "off", model.Source{Kind: "default"}, true
	}
	if o.Snap != nil {
		return v.snapValue(o, name, literal)
	}
	switch name {
	case "available":
		return size(v.Available(d))
	case "usedbydataset":
		return size(v.space(d).refer)
	case "usedbysnapshots":
		return size(v.space(d).snaps)
	case "usedbychildren":
		return size(v.Used(d) - v.ownUsed(d))
	case "usedbyrefreservation":
		return size(v.space(d).reserve)
	case "mounted":
		if d.Volume {
			return no()
		}
		return text(model.YesNo(len(v.mountTable()[d.ID]) > 0))
	case "origin":
		if s := d.Pool.SnapByObj(d.Origin); s != nil {
			return text(s.Full())
		}
		return text("-")
	case "receive_resume_token":
		if t := v.Store.ResumeToken(d); t != "" {
			return text(t)
		}
		return text("-")
	case "mountpoint":
		if d.Volume {
			return no()
		}
		mp, src := d.Mountpoint()
		return mp, src, true
	case "keyformat", "pbkdf2iters", "keylocation":
		return v.cryptValue(d, name)
	case "snapshots_changed":
		if s := d.Latest(); s != nil {
			return exact(uint64(s.Creation))
		}
		return no()
	}
	if written, ok := v.writtenSince(d, name); ok {
		s, _, _ := size(written)
		return s, model.Source{Kind: "local"}, true
	}
	p, native := v.Table[name]
	if native && p.Kinds&k == 0 {
		return no()
	}
	if model.FixedAtCreation(name) {
		return text(d.Prop(name))
	}
	val, src, ok := d.Lookup(v.Table, name)
	if !ok {
		return no()
	}
	if native && p.Number {
		val = model.ShowNumber(name, val, literal)
	}
	return val, src, true
}

func (v *View) cryptValue(d *model.Dataset, name string) (string, model.Source, bool) {
	none := model.Source{Kind: "-"}
	if d.Crypt == nil {
		switch name {
		case "keyformat", "keylocation":
			return "none", model.Source{Kind: "default"}, true
		}
		return "0", model.Source{Kind: "default"}, true
	}
	root := v.Store.EncryptionRoot(d)
	switch name {
	case "keyformat":
		return root.Crypt.KeyFormat, none, true
	case "pbkdf2iters":
		return strconv.Itoa(root.Crypt.Iters), none, true
	}
	if root != d {
		return "none", model.Source{Kind: "default"}, true
	}
	loc := d.Local["keylocation"]
	if loc == "" {
		loc = "prompt"
	}
	return loc, model.Source{Kind: "local"}, true
}

func (v *View) snapValue(o model.Object, name string, literal bool) (string, model.Source, bool) {
	none := model.Source{Kind: "-"}
	s := o.Snap
	switch name {
	case "userrefs":
		return strconv.Itoa(len(s.Holds)), none, true
	case "numclones":
		if v.clones[o.DS.Pool] == nil {
			v.clones[o.DS.Pool] = o.DS.Pool.CloneCounts()
		}
		return strconv.Itoa(v.clones[o.DS.Pool][s.Obj]), none, true
	case "clones":
		var names []string
		for _, c := range s.Clones() {
			names = append(names, c.Name)
		}
		return strings.Join(names, ","), none, true
	case "defer_destroy":
		return model.OnOffText(s.Defer), none, true
	case "volsize":
		if !o.DS.Volume {
			return "", none, false
		}
		return model.ShowNumber(name, s.VolSize, literal), model.Source{Kind: "local"}, true
	}
	p, native := v.Table[name]
	if native {
		if p.Kinds&model.KindSnapshot == 0 || o.DS.Volume && p.Kinds&model.KindVolume == 0 {
			return "", none, false
		}
	} else if !model.IsUserProperty(name) {
		return "", none, false
	}
	if model.FixedAtCreation(name) {
		return o.DS.Prop(name), none, true
	}
	if val, ok := s.Local[name]; ok {
		return val, model.Source{Kind: "local"}, true
	}
	if val, ok := s.Received[name]; ok {
		return val, model.Source{Kind: "received"}, true
	}
	val, src, ok := o.DS.Lookup(v.Table, name)
	if ok && (src.Kind == "local" || src.Kind == "received") {
		src = model.Source{Kind: "inherited", From: o.DS.Name}
	}
	if native && p.Number {
		val = model.ShowNumber(name, val, literal)
	}
	return val, src, ok
}

func (v *View) mountTable() map[string][]string {
	if v.mounts == nil {
		v.mounts = v.Store.M.Mounts.Table()
	}
	return v.mounts
}
