package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
	"github.com/understudy-ha/understudy/lab/zfssim/stream"
)

func skipStream(r *stream.RecordReader) error {
	for {
		kind, _, err := r.Next()
		if err != nil {
			return &recvError{"cannot receive", "failed to read from stream"}
		}
		if kind == stream.RecEnd {
			return nil
		}
	}
}

// read takes the records of one snapshot into the stage.
func (t *target) read(a *app.App, r *stream.RecordReader, b stream.BeginRecord) error {
	st := t.stage
	cs := st.Chunks(t.key)
	start := r.N
	before := st.Bytes
	for {
		kind, payload, err := r.Next()
		if err != nil {
			return err
		}
		if t.dieAt >= 0 && r.N-start > t.dieAt {
			a.Store.M.Kill()
		}
		st.Bytes = before + uint64(r.N-start)
		switch kind {
		case stream.RecEnd:
			return nil
		case stream.RecRemove:
			if err := st.Note(store.LogLine{Remove: slices.Clone(payload)}); err != nil {
				return err
			}
		case stream.RecFile:
			var f stream.FileRecord
			if json.Unmarshal(payload, &f) != nil || f.Entry == nil {
				return stream.ErrChecksum
			}
			if err := st.Note(store.LogLine{File: &f}); err != nil {
				return err
			}
		case stream.RecData:
			place, id, data, err := stream.ParseDataRecord(payload)
			if err != nil {
				return stream.ErrChecksum
			}
			added := uint64(0)
			if b.Raw {
				added, err = cs.PutRaw(id, data)
			} else {
				id, added, err = cs.Put(data)
			}
			if err != nil {
				return err
			}
			if t.limit -= int64(added); t.limit < 0 {
				return syscall.ENOSPC
			}
			if err := st.Note(store.LogLine{Chunk: id, Place: place}); err != nil {
				return err
			}
		default:
			return stream.ErrChecksum
		}
	}
}

// finishReceive turns the stage into a snapshot.
func finishReceive(a *app.App, t *target, b stream.BeginRecord, f receiveFlags, ds, snap string) error {
	s := a.Store
	o, ok := s.Find(ds)
	if !ok || o.DS.ID != t.dsID || o.DS.Stage == "" {
		return &recvError{t.what, "dataset does not exist"}
	}
	d := o.DS
	if d.Snapshot(snap) != nil {
		return &recvError{fmt.Sprintf("cannot restore to %s@%s", ds, snap), "destination already exists"}
	}
	if changed, err := s.Changed(d); err != nil {
		return err
	} else if changed > 0 {
		return &recvError{t.what, fmt.Sprintf("destination %s has been modified\nsince most recent snapshot", ds)}
	}
	base, err := s.Manifest(d.Pool, d.Base)
	if err != nil {
		return err
	}
	m, added, err := t.stage.Finish(base, s.Chunks(d, t.key))
	if err != nil {
		return err
	}
	id, err := s.SaveManifest(d.Pool, m)
	if err != nil {
		return err
	}
	sn := &model.Snapshot{Name: snap, GUID: b.ToGUID, TXG: d.Pool.NewTXG(), Creation: b.Creation, Obj: d.Pool.NewObj(),
		Manifest: id, Refer: m.Size(), Written: t.stage.Bytes, VolSize: b.VolSize, DS: d}
	if b.HasProps {
		sn.Received = b.SnapProps
		d.Received = nil
		for n, v := range b.Props {
			if !f.exclude[n] || model.IsUserProperty(n) || model.Settable()[n].Inherit {
				d.SetReceived(n, v)
			}
		}
	}
	d.Snaps = append(d.Snaps, sn)
	d.Pool.Origins = nil
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
		if b.VolBlock != "" && b.VolBlock != model.Settable()["volblocksize"].Def {
			d.Local["volblocksize"] = b.VolBlock
		}
	}
	override(a, d, f)
	dir := s.Data(d.Pool, "recv", d.Stage)
	d.Stage = ""
	s.Touch(d.Pool)
	s.Later(func() error { return s.M.Files.Remove(dir) })
	s.Later(func() error { return s.Restore(d) })
	return nil
}

// override applies -o and -x.
func override(a *app.App, d *model.Dataset, f receiveFlags) {
	table := model.Settable()
	kind := model.KindFilesystem
	if d.Volume {
		kind = model.KindVolume
	}
	for n, v := range f.set {
		c := model.Canonical(n)
		if c == "encryption" || c == "keyformat" || c == "keylocation" || c == "pbkdf2iters" {
			continue
		}
		if val, why := a.CheckValue(table, c, v, kind, true); why == "" {
			d.SetLocal(c, val)
		}
	}
	for n := range f.exclude {
		c := model.Canonical(n)
		if _, local := d.Local[c]; !local {
			d.SetInherited(c)
		}
	}
}

// receiveFailed keeps or drops what has arrived and says what happened.
func receiveFailed(a *app.App, t *target, cause error, ds string) error {
	s := a.Store
	s.Dirty, s.After = map[string]bool{}, nil
	a.Store.End()
	if !a.Begin(true) { // the stage stays locked, or it would be cleared away here
		return cause
	}
	defer a.Store.End()
	o, ok := s.Find(ds)
	if !ok || o.DS.ID != t.dsID {
		return cause
	}
	d := o.DS
	keep := t.stage.Head.Resumable && len(t.stage.Entries) > 0
	if !keep {
		p, fam := d.Pool, d.Family
		if err := s.Abandon(d); err != nil {
			return err
		}
		s.Later(func() error { return s.Sweep(p, map[string]bool{fam: true}) })
	}
	why := cause.Error()
	switch {
	case errors.Is(cause, stream.ErrTruncated), errors.Is(cause, stream.ErrChecksum):
		if keep {
			why = fmt.Sprintf("checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\n"+
				"A resuming stream can be generated on the sending system by running:\n    zfs send -t %s", s.ResumeToken(d))
		}
	case errors.Is(cause, syscall.ENOSPC):
		why = "out of space"
	}
	if err := s.Commit(); err != nil {
		return err
	}
	var re *recvError
	if errors.As(cause, &re) {
		return re
	}
	if _, bare := cause.(syscall.Errno); !bare && !errors.Is(cause, stream.ErrTruncated) && !errors.Is(cause, stream.ErrChecksum) {
		return fmt.Errorf("%s: %w", t.what, cause)
	}
	return &recvError{t.what, why}
}
