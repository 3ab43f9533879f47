package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// space is what a dataset takes, without its children.
type space struct{ refer, snaps, reserve uint64 }

// writtenSince answers written@SNAPSHOT and written#BOOKMARK.
func (v *View) writtenSince(d *model.Dataset, name string) (uint64, bool) {
	rest, ok := strings.CutPrefix(name, "written")
	if !ok || len(rest) < 2 || rest[0] != '@' && rest[0] != '#' {
		return 0, false
	}
	var since uint64
	if s := d.Snapshot(rest[1:]); rest[0] == '@' && s != nil {
		since = s.TXG
	} else if b := d.Bookmark(rest[1:]); rest[0] == '#' && b != nil {
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
func (v *View) changed(d *model.Dataset) uint64 {
	if n, ok := v.changes[d]; ok {
		return n
	}
	n, err := v.Store.Changed(d)
	if err != nil {
		fmt.Fprintf(v.err, "zfssim: what was written to %s: %v\n", d.Name, err)
	}
	v.changes[d] = n
	return n
}

func (v *View) space(d *model.Dataset) space {
	if s, ok := v.own[d]; ok {
		return s
	}
	last := uint64(0)
	if l := d.Latest(); l != nil {
		last = l.Refer
	} else if o := d.Pool.SnapByObj(d.Origin); o != nil {
		last = o.Refer
	}
	ch := v.changed(d)
	s := space{refer: max(last, model.EmptyOf(d)) + ch}
	if d.Stage != "" {
		staged := v.Store.stagedOf(d)
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
		want, _ := strconv.ParseUint(d.Prop("refreservation"), 10, 64)
		if want > ch {
			s.reserve = want - ch
		}
	}
	v.own[d] = s
	return s
}

func (v *View) ownUsed(d *model.Dataset) uint64 {
	s := v.space(d)
	return s.refer + s.snaps + s.reserve
}

func (v *View) Used(d *model.Dataset) uint64 {
	n := uint64(0)
	for _, e := range d.Pool.Datasets {
		if e == d || strings.HasPrefix(e.Name, d.Name+"/") {
			n += v.ownUsed(e)
		}
	}
	return n
}

// SnapUsed is what goes when only this snapshot goes: the chunks that neither
// the state before nor the state behind it has.
func (v *View) SnapUsed(s *model.Snapshot) uint64 {
	d := s.DS
	i := slices.Index(d.Snaps, s)
	beside := map[string]bool{machine.Hole: true}
	note := func(m machine.Manifest, err error) bool {
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
	} else if o := d.Pool.SnapByObj(d.Origin); o != nil {
		before = o.Manifest
	}
	if before == s.Manifest || i+1 < len(d.Snaps) && d.Snaps[i+1].Manifest == s.Manifest || i+1 == len(d.Snaps) && v.changed(d) == 0 {
		return 0
	}
	ok := note(v.Store.Manifest(d.Pool, before))
	if i+1 < len(d.Snaps) {
		ok = note(v.Store.Manifest(d.Pool, d.Snaps[i+1].Manifest)) && ok
	} else {
		ok = note(v.Store.LiveState(d)) && ok
	}
	m, err := v.Store.Manifest(d.Pool, s.Manifest)
	if err != nil || !ok {
		return 0 // something is being destroyed; the next command sees it whole
	}
	n := uint64(0)
	for _, e := range m {
		for k, c := range e.Chunks {
			if !beside[c] {
				n += uint64(machine.ChunkLen(e, k))
			}
		}
	}
	return n
}

// Available is what may still be written below a dataset.
func (v *View) Available(d *model.Dataset) uint64 {
	root := d.Pool.Datasets[d.Pool.Name]
	used := v.Used(root)
	free := uint64(0)
	if total := d.Pool.Usable(); total > used {
		free = total - used
	}
	for e := d; e != nil; e = e.Parent() {
		if q, _ := strconv.ParseUint(e.Local["quota"], 10, 64); q > 0 {
			u := v.Used(e)
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
