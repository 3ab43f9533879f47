package model

import (
	"slices"
	"sort"
	"strings"
)

// Pool is everything the store knows about one pool; it is kept as one file,
// so that a change of several datasets is atomic.
type Pool struct {
	Name     string
	GUID     uint64
	TXG      uint64
	NextObj  uint64
	Size     uint64 // bytes of the vdev files
	Vdevs    []string
	Altroot  string            `json:",omitempty"`
	Props    map[string]string `json:",omitempty"`
	Created  int64
	Datasets map[string]*Dataset

	Origins map[uint64]*Snapshot `json:"-"` // by object number, built on demand
}

// Dataset is a filesystem or volume.
type Dataset struct {
	Name      string
	ID        string // name of its folder, never reused
	Volume    bool   `json:",omitempty"`
	GUID      uint64
	CreateTXG uint64
	Creation  int64
	Obj       uint64
	Local     map[string]string `json:",omitempty"` // properties set here
	Received  map[string]string `json:",omitempty"` // properties that came with a stream
	Inherited map[string]bool   `json:",omitempty"` // properties inherited in spite of a received value
	Snaps     []*Snapshot       `json:",omitempty"` // in order of createtxg
	Marks     []*Bookmark       `json:",omitempty"`
	Origin    uint64            `json:",omitempty"` // object number of the snapshot this is a clone of
	Family    string            // folder of the chunks shared with clones
	Live      bool              // the live folder is the truth; else Base is
	Base      string            `json:",omitempty"` // manifest of the newest state that was saved
	Stored    uint64            `json:",omitempty"` // bytes of chunks that snapshots of this dataset brought
	Stage     string            `json:",omitempty"` // folder of a partial receive
	Partial   bool              `json:",omitempty"` // first receive not finished
	Crypt     *Crypt            `json:",omitempty"`
	Claimed   uint64            `json:",omitempty"` // guid of the newest snapshot when an import claimed the intent log

	Pool *Pool `json:"-"`
}

// Snapshot is a saved state of a dataset.
type Snapshot struct {
	Name     string            `json:"n"` // behind the @
	GUID     uint64            `json:"g"`
	TXG      uint64            `json:"t"`
	Creation int64             `json:"c"`
	Obj      uint64            `json:"o"`
	Manifest string            `json:"m,omitempty"`
	Refer    uint64            `json:"r,omitempty"`
	Written  uint64            `json:"w,omitempty"`
	VolSize  string            `json:"v,omitempty"`
	Holds    map[string]int64  `json:"h,omitempty"`
	Local    map[string]string `json:"l,omitempty"`
	Received map[string]string `json:"x,omitempty"`
	Defer    bool              `json:"d,omitempty"`

	DS *Dataset `json:"-"`
}

// Bookmark remembers the point of a snapshot so that a send can start there.
type Bookmark struct {
	Name     string `json:"n"`
	GUID     uint64 `json:"g"`
	TXG      uint64 `json:"t"`
	Creation int64  `json:"c"`
	Manifest string `json:"m,omitempty"`

	DS *Dataset `json:"-"`
}

// Object is one thing with a name: a dataset, a snapshot or a bookmark.
type Object struct {
	DS   *Dataset
	Snap *Snapshot
	Mark *Bookmark
}

func (o Object) Name() string {
	switch {
	case o.Snap != nil:
		return o.Snap.Full()
	case o.Mark != nil:
		return o.DS.Name + "#" + o.Mark.Name
	}
	return o.DS.Name
}

// kinds of objects, to be combined
const (
	KindFilesystem = 1 << iota
	KindVolume
	KindSnapshot
	KindBookmark
	KindDataset = KindFilesystem | KindVolume | KindSnapshot
)

func (o Object) Kind() int {
	switch {
	case o.Snap != nil:
		return KindSnapshot
	case o.Mark != nil:
		return KindBookmark
	case o.DS.Volume:
		return KindVolume
	}
	return KindFilesystem
}

func (o Object) KindName() string {
	switch o.Kind() {
	case KindSnapshot:
		return "snapshot"
	case KindBookmark:
		return "bookmark"
	case KindVolume:
		return "volume"
	}
	return "filesystem"
}

func (o Object) Txg() uint64 {
	switch {
	case o.Snap != nil:
		return o.Snap.TXG
	case o.Mark != nil:
		return o.Mark.TXG
	}
	return o.DS.CreateTXG
}

func (o Object) Guid() uint64 {
	switch {
	case o.Snap != nil:
		return o.Snap.GUID
	case o.Mark != nil:
		return o.Mark.GUID
	}
	return o.DS.GUID
}

func (o Object) Creation() int64 {
	switch {
	case o.Snap != nil:
		return o.Snap.Creation
	case o.Mark != nil:
		return o.Mark.Creation
	}
	return o.DS.Creation
}

func (s *Snapshot) Full() string { return s.DS.Name + "@" + s.Name }

// Link sets the pointers that are not stored.
func (p *Pool) Link() {
	for name, d := range p.Datasets {
		d.Pool, d.Name = p, name
		if d.Local == nil {
			d.Local = map[string]string{}
		}
		for _, s := range d.Snaps {
			s.DS = d
		}
		for _, b := range d.Marks {
			b.DS = d
		}
	}
}

// NewTXG opens a new transaction group; what one command makes shares it.
func (p *Pool) NewTXG() uint64 { p.TXG++; return p.TXG }

func (p *Pool) NewObj() uint64 { p.NextObj++; return p.NextObj }

// Sorted returns the pool's datasets in order of their names.
func (p *Pool) Sorted() []*Dataset {
	all := make([]*Dataset, 0, len(p.Datasets))
	for _, d := range p.Datasets {
		all = append(all, d)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// Below returns the dataset and all its descendants in order of their names.
func (d *Dataset) Below() []*Dataset {
	var all []*Dataset
	for _, e := range d.Pool.Sorted() {
		if e == d || strings.HasPrefix(e.Name, d.Name+"/") {
			all = append(all, e)
		}
	}
	return all
}

func (d *Dataset) Parent() *Dataset {
	i := strings.LastIndexByte(d.Name, '/')
	if i < 0 {
		return nil
	}
	return d.Pool.Datasets[d.Name[:i]]
}

func (d *Dataset) Snapshot(name string) *Snapshot {
	for _, s := range d.Snaps {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func (d *Dataset) Bookmark(name string) *Bookmark {
	for _, b := range d.Marks {
		if b.Name == name {
			return b
		}
	}
	return nil
}

// Latest is the newest snapshot, or nil.
func (d *Dataset) Latest() *Snapshot {
	if len(d.Snaps) == 0 {
		return nil
	}
	return d.Snaps[len(d.Snaps)-1]
}

// SnapByObj finds a snapshot by its object number, which a receive of the same
// guid elsewhere in the pool cannot confuse.
func (p *Pool) SnapByObj(obj uint64) *Snapshot {
	if obj == 0 {
		return nil
	}
	if p.Origins == nil {
		p.Origins = map[uint64]*Snapshot{}
		for _, d := range p.Datasets {
			for _, s := range d.Snaps {
				p.Origins[s.Obj] = s
			}
		}
	}
	return p.Origins[obj]
}

// Clones returns the datasets that are clones of the snapshot, by name.
func (s *Snapshot) Clones() []*Dataset {
	var all []*Dataset
	for _, d := range s.DS.Pool.Sorted() {
		if d.Origin == s.Obj {
			all = append(all, d)
		}
	}
	return all
}

// CloneCounts counts the clones of every snapshot of the pool at once.
func (p *Pool) CloneCounts() map[uint64]int {
	n := map[uint64]int{}
	for _, d := range p.Datasets {
		if d.Origin != 0 {
			n[d.Origin]++
		}
	}
	return n
}

// dropSnapshot takes the snapshot out of its dataset.
func (s *Snapshot) Drop() {
	s.DS.Snaps = slices.DeleteFunc(s.DS.Snaps, func(t *Snapshot) bool { return t == s })
	s.DS.Pool.Origins = nil
}

// Claimed is what counts as written though nobody has written it.
func Claimed(d *Dataset) uint64 {
	if newest := d.Latest(); newest != nil && newest.GUID == d.Claimed {
		return 1024
	}
	return 0
}

// Descends reports whether d is a clone, of a clone …, of old.
func Descends(d, old *Dataset) bool {
	for o := d.Pool.SnapByObj(d.Origin); o != nil; o = o.DS.Pool.SnapByObj(o.DS.Origin) {
		if o.DS == old {
			return true
		}
	}
	return false
}

// emptyRefer is what a filesystem with nothing in it refers to.
const emptyRefer = 24 << 10

// EmptyOf is what a dataset with nothing in it refers to.
func EmptyOf(d *Dataset) uint64 {
	if d.Volume {
		return emptyRefer / 2
	}
	return emptyRefer
}
