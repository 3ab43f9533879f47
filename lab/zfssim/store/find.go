package store

import (
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// SnapByGUID finds a snapshot by guid: near the name first, then in its pool.
func (s *Store) SnapByGUID(near string, guid uint64) *model.Snapshot {
	o, ok := s.ByGUID(near, guid, false)
	if !ok {
		return nil
	}
	return o.Snap
}

func (s *Store) ByGUID(near string, guid uint64, marks bool) (model.Object, bool) {
	ds, _, _ := strings.Cut(near, "@")
	pool, _, _ := strings.Cut(ds, "/")
	p := s.Pools[pool]
	if p == nil {
		return model.Object{}, false
	}
	try := func(d *model.Dataset) (model.Object, bool) {
		for _, sn := range d.Snaps {
			if sn.GUID == guid {
				return model.Object{DS: d, Snap: sn}, true
			}
		}
		for _, b := range d.Marks {
			if marks && b.GUID == guid {
				return model.Object{DS: d, Mark: b}, true
			}
		}
		return model.Object{}, false
	}
	if d := p.Datasets[ds]; d != nil {
		if o, ok := try(d); ok {
			return o, true
		}
	}
	for _, d := range p.Sorted() {
		if o, ok := try(d); ok {
			return o, true
		}
	}
	return model.Object{}, false
}
