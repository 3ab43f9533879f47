package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// space is what a dataset takes, without its children.
type space struct{ refer, snaps, reserve uint64 }

// writtenSince answers written@SNAPSHOT and written#BOOKMARK.
func (v *view) writtenSince(d *Dataset, name string) (uint64, bool) {
	rest, ok := strings.CutPrefix(name, "written")
	if !ok || len(rest) < 2 || rest[0] != '@' && rest[0] != '#' {
		return 0, false
	}
	var since uint64
	if s := d.snapshot(rest[1:]); rest[0] == '@' && s != nil {
		since = s.TXG
	} else if b := d.bookmark(rest[1:]); rest[0] == '#' && b != nil {
		since = b.TXG
	} else {
		return 0, false
	}
	n := v.changed(d)
	for _, s := range d.Snaps {
		if s.TXG > since {
			n += s.Written
		}
	}
	return n, true
}

// changed is what was written since the newest snapshot.
func (v *view) changed(d *Dataset) uint64 {
	if n, ok := v.changes[d]; ok {
		return n
	}
	n, err := v.store.changed(d)
	if err != nil {
		fmt.Fprintf(v.err, "zfssim: what was written to %s: %v\n", d.Name, err)
	}
	v.changes[d] = n
	return n
}

// emptyRefer is what a filesystem with nothing in it refers to.
const emptyRefer = 24 << 10

// emptyOf is what a dataset with nothing in it refers to.
func emptyOf(d *Dataset) uint64 {
	if d.Volume {
		return emptyRefer / 2
	}
	return emptyRefer
}

func (v *view) space(d *Dataset) space {
	if s, ok := v.own[d]; ok {
		return s
	}
	last := uint64(0)
	if l := d.latest(); l != nil {
		last = l.Refer
	} else if o := d.pool.snapByObj(d.Origin); o != nil {
		last = o.Refer
	}
	ch := v.changed(d)
	s := space{refer: max(last, emptyOf(d)) + ch}
	if d.Stage != "" {
		staged := v.store.stagedOf(d)
		if d.Partial {
			s.refer += staged
		} else {
			s.snaps += staged // a real one counts it for a hidden child
		}
	}
	if d.Stored > last {
		s.snaps += d.Stored - last
	}
	if d.Volume {
		want, _ := strconv.ParseUint(d.prop("refreservation"), 10, 64)
		if want > ch {
			s.reserve = want - ch
		}
	}
	v.own[d] = s
	return s
}

func (v *view) ownUsed(d *Dataset) uint64 {
	s := v.space(d)
	return s.refer + s.snaps + s.reserve
}

func (v *view) used(d *Dataset) uint64 {
	n := uint64(0)
	for _, e := range d.pool.Datasets {
		if e == d || strings.HasPrefix(e.Name, d.Name+"/") {
			n += v.ownUsed(e)
		}
	}
	return n
}

// snapUsed is what goes when only this snapshot goes: the chunks that neither
// the state before nor the state behind it has.
func (v *view) snapUsed(s *Snapshot) uint64 {
	d := s.ds
	i := slices.Index(d.Snaps, s)
	beside := map[string]bool{hole: true}
	note := func(m manifest, err error) bool {
		for _, e := range m {
			for _, c := range e.Chunks {
				beside[c] = true
			}
		}
		return err == nil
	}
	before := ""
	if i > 0 {
		before = d.Snaps[i-1].Manifest
	} else if o := d.pool.snapByObj(d.Origin); o != nil {
		before = o.Manifest
	}
	if before == s.Manifest || i+1 < len(d.Snaps) && d.Snaps[i+1].Manifest == s.Manifest || i+1 == len(d.Snaps) && v.changed(d) == 0 {
		return 0
	}
	ok := note(v.store.manifest(d.pool, before))
	if i+1 < len(d.Snaps) {
		ok = note(v.store.manifest(d.pool, d.Snaps[i+1].Manifest)) && ok
	} else {
		ok = note(v.store.liveState(d)) && ok
	}
	m, err := v.store.manifest(d.pool, s.Manifest)
	if err != nil || !ok {
		return 0 // something is being destroyed; the next command sees it whole
	}
	n := uint64(0)
	for _, e := range m {
		for k, c := range e.Chunks {
			if !beside[c] {
				n += uint64(chunkLen(e, k))
			}
		}
	}
	return n
}

// available is what may still be written below a dataset.
func (v *view) available(d *Dataset) uint64 {
	root := d.pool.Datasets[d.pool.Name]
	used := v.used(root)
	free := uint64(0)
	if total := d.pool.usable(); total > used {
		free = total - used
	}
	for e := d; e != nil; e = e.parent() {
		if q, _ := strconv.ParseUint(e.Local["quota"], 10, 64); q > 0 {
			u := v.used(e)
			if u >= q {
				return 0
			}
			free = min(free, q-u)
		}
	}
	if d.Volume {
		free += v.space(d).reserve
	}
	return free
}
