package main

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

	origins map[uint64]*Snapshot // by object number, built on demand
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

	pool *Pool
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

	ds *Dataset
}

// Bookmark remembers the point of a snapshot so that a send can start there.
type Bookmark struct {
	Name     string `json:"n"`
	GUID     uint64 `json:"g"`
	TXG      uint64 `json:"t"`
	Creation int64  `json:"c"`
	Manifest string `json:"m,omitempty"`

	ds *Dataset
}

// object is one thing with a name: a dataset, a snapshot or a bookmark.
type object struct {
	ds   *Dataset
	snap *Snapshot
	mark *Bookmark
}

func (o object) name() string {
	switch {
	case o.snap != nil:
		return o.snap.full()
	case o.mark != nil:
		return o.ds.Name + "#" + o.mark.Name
	}
	return o.ds.Name
}

// kinds of objects, to be combined
const (
	kindFilesystem = 1 << iota
	kindVolume
	kindSnapshot
	kindBookmark
	kindDataset = kindFilesystem | kindVolume | kindSnapshot
)

func (o object) kind() int {
	switch {
	case o.snap != nil:
		return kindSnapshot
	case o.mark != nil:
		return kindBookmark
	case o.ds.Volume:
		return kindVolume
	}
	return kindFilesystem
}

func (o object) kindName() string {
	switch o.kind() {
	case kindSnapshot:
		return "snapshot"
	case kindBookmark:
		return "bookmark"
	case kindVolume:
		return "volume"
	}
	return "filesystem"
}

func (o object) txg() uint64 {
	switch {
	case o.snap != nil:
		return o.snap.TXG
	case o.mark != nil:
		return o.mark.TXG
	}
	return o.ds.CreateTXG
}

func (o object) guid() uint64 {
	switch {
	case o.snap != nil:
		return o.snap.GUID
	case o.mark != nil:
		return o.mark.GUID
	}
	return o.ds.GUID
}

func (o object) creation() int64 {
	switch {
	case o.snap != nil:
		return o.snap.Creation
	case o.mark != nil:
		return o.mark.Creation
	}
	return o.ds.Creation
}

func (s *Snapshot) full() string { return s.ds.Name + "@" + s.Name }

// link sets the pointers that are not stored.
func (p *Pool) link() {
	for name, d := range p.Datasets {
		d.pool, d.Name = p, name
		if d.Local == nil {
			d.Local = map[string]string{}
		}
		for _, s := range d.Snaps {
			s.ds = d
		}
		for _, b := range d.Marks {
			b.ds = d
		}
	}
}

// nextTXG opens a new transaction group; what one command makes shares it.
func (p *Pool) nextTXG() uint64 { p.TXG++; return p.TXG }

func (p *Pool) nextObj() uint64 { p.NextObj++; return p.NextObj }

// sorted returns the pool's datasets in order of their names.
func (p *Pool) sorted() []*Dataset {
	all := make([]*Dataset, 0, len(p.Datasets))
	for _, d := range p.Datasets {
		all = append(all, d)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// below returns the dataset and all its descendants in order of their names.
func (d *Dataset) below() []*Dataset {
	var all []*Dataset
	for _, e := range d.pool.sorted() {
		if e == d || strings.HasPrefix(e.Name, d.Name+"/") {
			all = append(all, e)
		}
	}
	return all
}

func (d *Dataset) parent() *Dataset {
	i := strings.LastIndexByte(d.Name, '/')
	if i < 0 {
		return nil
	}
	return d.pool.Datasets[d.Name[:i]]
}

func (d *Dataset) snapshot(name string) *Snapshot {
	for _, s := range d.Snaps {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func (d *Dataset) bookmark(name string) *Bookmark {
	for _, b := range d.Marks {
		if b.Name == name {
			return b
		}
	}
	return nil
}

// latest is the newest snapshot, or nil.
func (d *Dataset) latest() *Snapshot {
	if len(d.Snaps) == 0 {
		return nil
	}
	return d.Snaps[len(d.Snaps)-1]
}

// snapByObj finds a snapshot by its object number, which a receive of the same
// guid elsewhere in the pool cannot confuse.
func (p *Pool) snapByObj(obj uint64) *Snapshot {
	if obj == 0 {
		return nil
	}
	if p.origins == nil {
		p.origins = map[uint64]*Snapshot{}
		for _, d := range p.Datasets {
			for _, s := range d.Snaps {
				p.origins[s.Obj] = s
			}
		}
	}
	return p.origins[obj]
}

// clones returns the datasets that are clones of the snapshot, by name.
func (s *Snapshot) clones() []*Dataset {
	var all []*Dataset
	for _, d := range s.ds.pool.sorted() {
		if d.Origin == s.Obj {
			all = append(all, d)
		}
	}
	return all
}

// cloneCounts counts the clones of every snapshot of the pool at once.
func (p *Pool) cloneCounts() map[uint64]int {
	n := map[uint64]int{}
	for _, d := range p.Datasets {
		if d.Origin != 0 {
			n[d.Origin]++
		}
	}
	return n
}

// dropSnapshot takes the snapshot out of its dataset.
func (s *Snapshot) drop() {
	s.ds.Snaps = slices.DeleteFunc(s.ds.Snaps, func(t *Snapshot) bool { return t == s })
	s.ds.pool.origins = nil
}
