package store

import (
	"errors"
	"maps"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// NewDataset adds a dataset to the pool; its folders are made by the caller.
func (s *Store) NewDataset(p *model.Pool, name string, volume bool) *model.Dataset {
	d := &model.Dataset{Name: name, ID: s.NewID(), Volume: volume, GUID: s.NewGUID(), CreateTXG: p.NewTXG(),
		Creation: s.M.Now().Unix(), Obj: p.NewObj(), Family: s.NewID(), Local: map[string]string{}, Pool: p}
	p.Datasets[name] = d
	s.Touch(p)
	return d
}

// RemoveFolder removes a dataset's live folder and all else that is kept of it.
func (s *Store) RemoveFolder(d *model.Dataset) error {
	return errors.Join(s.M.Trees.Remove(s.LiveDir(d), ""), s.M.Files.Remove(s.Data(d.Pool, "ds", d.ID)))
}

// Forget takes a dataset out of its pool; its folders go once that is
// committed.
func (s *Store) Forget(d *model.Dataset) error {
	delete(d.Pool.Datasets, d.Name)
	d.Pool.Origins = nil
	s.Touch(d.Pool)
	s.M.Files.Remove(s.KeyFile(d.ID))
	if d.Volume {
		if err := s.RemoveVolumeLink(d); err != nil {
			return err
		}
	}
	s.Later(func() error {
		if d.Stage != "" {
			s.M.Files.Remove(s.Data(d.Pool, "recv", d.Stage))
		}
		return s.RemoveFolder(d)
	})
	return nil
}

// TakeSnapshot saves a dataset's state under a name.
func (s *Store) TakeSnapshot(d *model.Dataset, name string, txg uint64, now int64, props map[string]string) error {
	ch, err := s.Changed(d)
	if err != nil {
		return err
	}
	id, refer, added, indexed, err := s.save(d)
	if err != nil {
		return err
	}
	d.Base = id
	d.Stored += added
	sn := &model.Snapshot{Name: name, GUID: s.NewGUID(), TXG: txg, Creation: now, Obj: d.Pool.NewObj(), Manifest: id,
		Refer: max(refer, model.EmptyOf(d)), Written: ch, DS: d}
	if len(d.Snaps) == 0 && d.Origin == 0 {
		sn.Written = sn.Refer
	}
	if len(props) > 0 {
		sn.Local = maps.Clone(props)
	}
	if d.Volume {
		sn.VolSize = d.Prop("volsize")
	}
	d.Snaps = append(d.Snaps, sn)
	d.Pool.Origins = nil
	s.Touch(d.Pool)
	s.Later(indexed)
	return nil
}
