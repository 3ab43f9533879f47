package main

import (
	"fmt"
	"strings"
)

func cmdDiff(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "FHth")
	if !ok {
		return 2
	}
	kinds := false
	for _, o := range opts {
		kinds = kinds || o.flag == 'F'
	}
	if len(rest) < 1 {
		return a.usageError("must provide at least one snapshot name")
	}
	if len(rest) > 2 {
		return a.usageError("too many arguments")
	}
	if !a.begin(false) {
		return 1
	}
	if !strings.Contains(rest[0], "@") {
		return a.failf("Badly formed snapshot name %s: missing '@' delimiter in snapshot name", rest[0])
	}
	from, ok := a.open(rest[0], kindSnapshot)
	if !ok {
		return 1
	}
	to := object{ds: from.ds}
	if len(rest) == 2 {
		name := rest[1]
		if strings.HasPrefix(name, "@") {
			name = from.ds.Name + name
		}
		if to, ok = a.open(name, kindDataset); !ok {
			return a.fail("Not an earlier snapshot from the same fs", "invalid name")
		}
	}
	for _, d := range []*Dataset{to.ds, from.ds} {
		if len(a.store.mountsOf(d)) == 0 {
			return a.fail("Cannot diff an unmounted snapshot", "operation not applicable to datasets of this type")
		}
	}
	old, err := a.store.manifest(from.ds.pool, from.snap.Manifest)
	if err != nil {
		return a.failf("zfssim: %v", err)
	}
	var cur manifest
	if to.snap != nil {
		cur, err = a.store.manifest(to.ds.pool, to.snap.Manifest)
	} else {
		cur, err = a.store.liveState(to.ds)
	}
	if err != nil {
		return a.failf("zfssim: %v", err)
	}
	mp, _ := to.ds.mountpoint()
	before, after := old.byPath(), cur.byPath()
	say := func(mark string, e *entry) {
		path := strings.TrimSuffix(mp+"/"+escapePath(string(e.Path)), "/")
		if len(e.Path) == 0 {
			path = mp + "/"
		}
		if kinds {
			fmt.Fprintf(a.out, "%s\t%s\t%s\n", mark, fileKind(e), path)
		} else {
			fmt.Fprintf(a.out, "%s\t%s\n", mark, path)
		}
	}
	for _, e := range cur {
		if o := before[string(e.Path)]; o == nil {
			say("+", e)
		} else if !o.same(e) {
			say("M", e)
		}
	}
	for _, e := range old {
		if after[string(e.Path)] == nil {
			say("-", e)
		}
	}
	return 0
}

// liveState is the state of a live folder with the names of its chunks; the
// contents of changed files are given names that match nothing.
func (s *store) liveState(d *Dataset) (manifest, error) {
	if !d.Live {
		return s.manifest(d.pool, d.Base)
	}
	idx, err := s.index(d)
	if err != nil {
		return nil, err
	}
	known := idx.byPath()
	m, err := s.m.Trees.Scan(s.liveDir(d))
	if err != nil {
		return nil, err
	}
	for _, e := range m {
		if k := known[string(e.Path)]; k != nil && k.unchanged(e) {
			e.Chunks = k.Chunks
		} else {
			e.Chunks = []string{"?"}
		}
	}
	return m, nil
}

func fileKind(e *entry) string {
	switch e.Mode & 0o170000 {
	case 0o040000:
		return "/"
	case 0o120000:
		return "@"
	case 0o010000:
		return "|"
	case 0o140000:
		return "="
	case 0o060000:
		return "B"
	case 0o020000:
		return "C"
	}
	return "F"
}

// escapePath writes odd bytes in octal, as zfs diff does.
func escapePath(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c > ' ' && c != '\\' && c < 0x7f {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "\\%04o", c)
		}
	}
	return b.String()
}
