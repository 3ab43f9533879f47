package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

func cmdHold(a *app, args []string) int    { return a.holdOrRelease(args, true) }
func cmdRelease(a *app, args []string) int { return a.holdOrRelease(args, false) }

func (a *app) holdOrRelease(args []string, holding bool) int {
	opts, rest, ok := a.parseOptions(args, map[bool]string{true: "rt", false: "r"}[holding])
	if !ok {
		return 2
	}
	recurse := len(opts) > 0
	if len(rest) < 2 {
		return a.usage()
	}
	tag := rest[0]
	if holding && strings.HasPrefix(tag, ".") {
		return a.usageError("tag may not start with '.'")
	}
	if !a.begin(true) {
		return 1
	}
	code := 0
	x := &destruction{a: a, families: map[string]map[string]bool{}}
	for _, r := range rest[1:] {
		ds, snap, ok := strings.Cut(r, "@")
		if !ok {
			a.failf("'%s' is not a snapshot", r)
			code = 1
			continue
		}
		o, ok := a.open(ds, fsVol)
		if !ok {
			code = 1
			continue
		}
		var targets []*Snapshot
		all := []*Dataset{o.ds}
		if recurse {
			all = o.ds.below()
		}
		for _, d := range all {
			if s := d.snapshot(snap); s != nil {
				targets = append(targets, s)
			}
		}
		if holding {
			code = max(code, a.hold(r, tag, targets))
		} else {
			code = max(code, a.release(r, tag, targets, x))
		}
	}
	for pool, fams := range x.families {
		p := a.store.pools[pool]
		a.store.later(func() error { return a.store.sweep(p, fams) })
	}
	if !a.commit() {
		return 1
	}
	return code
}

func (a *app) hold(name, tag string, targets []*Snapshot) int {
	what := fmt.Sprintf("cannot hold snapshot '%s'", name)
	if len(targets) == 0 {
		return a.fail(what, "dataset does not exist")
	}
	if len(tag) >= 256 {
		return a.fail(what, "tag too long")
	}
	failed := false
	for _, s := range targets {
		if _, ok := s.Holds[tag]; ok {
			a.fail(fmt.Sprintf("cannot hold snapshot '%s'", s.full()), "tag already exists on this dataset")
			failed = true
		}
	}
	if failed {
		return 1
	}
	for _, s := range targets {
		if s.Holds == nil {
			s.Holds = map[string]int64{}
		}
		s.Holds[tag] = a.store.m.Now().Unix()
		a.store.touch(s.ds.pool)
	}
	return 0
}

func (a *app) release(name, tag string, targets []*Snapshot, x *destruction) int {
	what := fmt.Sprintf("cannot release hold from snapshot '%s'", name)
	if len(targets) == 0 {
		return a.fail(what, "dataset does not exist")
	}
	held := slices.DeleteFunc(slices.Clone(targets), func(s *Snapshot) bool { _, ok := s.Holds[tag]; return !ok })
	if len(held) == 0 {
		return a.fail(what, "no such tag on this dataset")
	}
	for _, s := range held {
		delete(s.Holds, tag)
		a.store.touch(s.ds.pool)
		if s.Defer && len(s.Holds) == 0 && len(s.clones()) == 0 {
			x.remove(s)
		}
	}
	return 0
}

func cmdHolds(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "rHp")
	if !ok {
		return 2
	}
	recurse, scripted, parsable := false, false, false
	for _, o := range opts {
		switch o.flag {
		case 'r':
			recurse = true
		case 'H':
			scripted = true
		case 'p':
			parsable = true
		}
	}
	if len(rest) == 0 {
		return a.usage()
	}
	if !a.begin(false) {
		return 1
	}
	code := 0
	var found []*Snapshot
	for _, r := range rest {
		ds, snap, ok := strings.Cut(r, "@")
		if !ok {
			a.failf("'%s' is not a snapshot", r)
			code = 1
			continue
		}
		if !recurse {
			o, ok := a.open(r, kindSnapshot)
			if !ok {
				code = 1
				continue
			}
			found = append(found, o.snap)
			continue
		}
		o, ok := a.open(ds, fsVol|kindSnapshot)
		if !ok {
			code = 1
			continue
		}
		for _, d := range o.ds.below() {
			if s := d.snapshot(snap); s != nil {
				found = append(found, s)
			}
		}
	}
	a.printHolds(found, scripted, parsable)
	if len(found) == 0 {
		fmt.Fprintln(a.err, "no datasets available")
	}
	return code
}

func (a *app) printHolds(snaps []*Snapshot, scripted, parsable bool) {
	// OpenZFS pads the name with the width of tags and the other way round.
	nw, tw := 0, 0
	for _, s := range snaps {
		nw = max(nw, len(s.full()))
		for t := range s.Holds {
			tw = max(tw, len(t))
		}
	}
	if !scripted {
		fmt.Fprintf(a.out, "%-*s  %-*s  TIMESTAMP\n", nw, "NAME", tw, "TAG")
	}
	for _, s := range snaps {
		for _, tag := range slices.Sorted(maps.Keys(s.Holds)) {
			when := time.Unix(s.Holds[tag], 0)
			stamp := fmt.Sprintf("%s %2d %2d:%02d %d", when.Format("Mon Jan"), when.Day(), when.Hour(), when.Minute(), when.Year())
			if parsable {
				stamp = fmt.Sprint(when.Unix())
			}
			if scripted {
				fmt.Fprintf(a.out, "%s\t%s\t%s\n", s.full(), tag, stamp)
			} else {
				fmt.Fprintf(a.out, "%-*s  %-*s  %s\n", nw, s.full(), tw, tag, stamp)
			}
		}
	}
}
