package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"syscall"
)

func skipStream(r *recordReader) error {
	for {
		kind, _, err := r.next()
		if err != nil {
			return &recvError{"cannot receive", "failed to read from stream"}
		}
		if kind == recEnd {
			return nil
		}
	}
}

// read takes the records of one snapshot into the stage.
func (t *target) read(a *app, r *recordReader, b beginRecord) error {
	st := t.stage
	cs := st.chunks(t.key)
	start := r.n
	before := st.bytes
	for {
		kind, payload, err := r.next()
		if err != nil {
			return err
		}
		if t.dieAt >= 0 && r.n-start > t.dieAt {
			a.store.m.Kill()
		}
		st.bytes = before + uint64(r.n-start)
		switch kind {
		case recEnd:
			return nil
		case recRemove:
			if err := st.note(logLine{Remove: slices.Clone(payload)}); err != nil {
				return err
			}
		case recFile:
			var f fileRecord
			if json.Unmarshal(payload, &f) != nil || f.Entry == nil {
				return errChecksum
			}
			if err := st.note(logLine{File: &f}); err != nil {
				return err
			}
		case recData:
			place, id, data, err := parseDataRecord(payload)
			if err != nil {
				return errChecksum
			}
			added := uint64(0)
			if b.Raw {
				added, err = cs.putRaw(id, data)
			} else {
				id, added, err = cs.put(data)
			}
			if err != nil {
				return err
			}
			if t.limit -= int64(added); t.limit < 0 {
				return syscall.ENOSPC
			}
			if err := st.note(logLine{Chunk: id, Place: place}); err != nil {
				return err
			}
		default:
			return errChecksum
		}
	}
}

// finishReceive turns the stage into a snapshot.
func (a *app) finishReceive(t *target, b beginRecord, f receiveFlags, ds, snap string) error {
	s := a.store
	o, ok := s.find(ds)
	if !ok || o.ds.ID != t.dsID || o.ds.Stage == "" {
		return &recvError{t.what, "dataset does not exist"}
	}
	d := o.ds
	if d.snapshot(snap) != nil {
		return &recvError{fmt.Sprintf("cannot restore to %s@%s", ds, snap), "destination already exists"}
	}
	if changed, err := s.changed(d); err != nil {
		return err
	} else if changed > 0 {
		return &recvError{t.what, fmt.Sprintf("destination %s has been modified\nsince most recent snapshot", ds)}
	}
	base, err := s.manifest(d.pool, d.Base)
	if err != nil {
		return err
	}
	m, added, err := t.stage.finish(base, s.chunks(d, t.key))
	if err != nil {
		return err
	}
	id, err := s.saveManifest(d.pool, m)
	if err != nil {
		return err
	}
	sn := &Snapshot{Name: snap, GUID: b.ToGUID, TXG: d.pool.nextTXG(), Creation: b.Creation, Obj: d.pool.nextObj(),
		Manifest: id, Refer: m.size(), Written: t.stage.bytes, VolSize: b.VolSize, ds: d}
	if b.HasProps {
		sn.Received = b.SnapProps
		d.Received = nil
		for n, v := range b.Props {
			if !f.exclude[n] || isUserProperty(n) || settable()[n].inherit {
				d.setReceived(n, v)
			}
		}
	}
	d.Snaps = append(d.Snaps, sn)
	d.pool.origins = nil
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
		if b.VolBlock != "" && b.VolBlock != settable()["volblocksize"].def {
			d.Local["volblocksize"] = b.VolBlock
		}
	}
	a.override(d, f)
	dir := s.data(d.pool, "recv", d.Stage)
	d.Stage = ""
	s.touch(d.pool)
	s.later(func() error { return s.m.Files.Remove(dir) })
	s.later(func() error { return s.restore(d) })
	return nil
}

// override applies -o and -x.
func (a *app) override(d *Dataset, f receiveFlags) {
	table := settable()
	kind := kindFilesystem
	if d.Volume {
		kind = kindVolume
	}
	for n, v := range f.set {
		c := canonical(n)
		if c == "encryption" || c == "keyformat" || c == "keylocation" || c == "pbkdf2iters" {
			continue
		}
		if val, why := a.checkValue(table, c, v, kind, true); why == "" {
			d.setLocal(c, val)
		}
	}
	for n := range f.exclude {
		c := canonical(n)
		if _, local := d.Local[c]; !local {
			d.setInherited(c)
		}
	}
}

// receiveFailed keeps or drops what has arrived and says what happened.
func (a *app) receiveFailed(t *target, cause error, ds string) error {
	s := a.store
	s.dirty, s.after = map[string]bool{}, nil
	a.store.end()
	if !a.begin(true) { // the stage stays locked, or it would be cleared away here
		return cause
	}
	defer a.store.end()
	o, ok := s.find(ds)
	if !ok || o.ds.ID != t.dsID {
		return cause
	}
	d := o.ds
	keep := t.stage.head.Resumable && len(t.stage.entries) > 0
	if !keep {
		p, fam := d.pool, d.Family
		if err := s.abandon(d); err != nil {
			return err
		}
		s.later(func() error { return s.sweep(p, map[string]bool{fam: true}) })
	}
	why := cause.Error()
	switch {
	case errors.Is(cause, errTruncated), errors.Is(cause, errChecksum):
		if keep {
			why = fmt.Sprintf("checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\n"+
				"A resuming stream can be generated on the sending system by running:\n    zfs send -t %s", s.resumeToken(d))
		}
	case errors.Is(cause, syscall.ENOSPC):
		why = "out of space"
	}
	if err := s.commit(); err != nil {
		return err
	}
	var re *recvError
	if errors.As(cause, &re) {
		return re
	}
	if _, bare := cause.(syscall.Errno); !bare && !errors.Is(cause, errTruncated) && !errors.Is(cause, errChecksum) {
		return fmt.Errorf("%s: %w", t.what, cause)
	}
	return &recvError{t.what, why}
}
