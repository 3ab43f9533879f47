package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func cmdHold(a *app.App, args []string) int { return holdOrRelease(a, args, true) }

func cmdRelease(a *app.App, args []string) int { return holdOrRelease(a, args, false) }

func holdOrRelease(a *app.App, args []string, holding bool) int {
	opts, rest, ok := a.ParseOptions(args, map[bool]string{true: "rt", false: "r"}[holding])
	if !ok {
		return 2
	}
	recurse := len(opts) > 0
	if len(rest) < 2 {
		return a.Usage()
	}
	tag := rest[0]
	if holding && strings.HasPrefix(tag, ".") {
		return a.UsageError("tag may not start with '.'")
	}
	if !a.Begin(true) {
		return 1
	}
	code := 0
	x := &destruction{a: a, families: map[string]map[string]bool{}}
	for _, r := range rest[1:] {
		ds, snap, ok := strings.Cut(r, "@")
		if !ok {
			a.Failf("'%s' is not a snapshot", r)
			code = 1
			continue
		}
		o, ok := a.Open(ds, model.FsVol)
		if !ok {
			code = 1
			continue
		}
		var targets []*model.Snapshot
		all := []*model.Dataset{o.DS}
		if recurse {
			all = o.DS.Below()
		}
		for _, d := range all {
			if s := d.Snapshot(snap); s != nil {
				targets = append(targets, s)
			}
		}
		if holding {
			code = max(code, hold(a, r, tag, targets))
		} else {
			code = max(code, release(a, r, tag, targets, x))
		}
	}
	for pool, fams := range x.families {
		p := a.Store.Pools[pool]
		a.Store.Later(func() error { return a.Store.Sweep(p, fams) })
	}
	if !a.Commit() {
		return 1
	}
	return code
}

func hold(a *app.App, name, tag string, targets []*model.Snapshot) int {
	what := fmt.Sprintf("cannot hold snapshot '%s'", name)
	if len(targets) == 0 {
		return a.Fail(what, "dataset does not exist")
	}
	if len(tag) >= 256 {
		return a.Fail(what, "tag too long")
	}
	failed := false
	for _, s := range targets {
		if _, ok := s.Holds[tag]; ok {
			a.Fail(fmt.Sprintf("cannot hold snapshot '%s'", s.Full()), "tag already exists on this dataset")
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
		s.Holds[tag] = a.Store.M.Now().Unix()
		a.Store.Touch(s.DS.Pool)
	}
	return 0
}

func release(a *app.App, name, tag string, targets []*model.Snapshot, x *destruction) int {
	what := fmt.Sprintf("cannot release hold from snapshot '%s'", name)
	if len(targets) == 0 {
		return a.Fail(what, "dataset does not exist")
	}
	held := slices.DeleteFunc(slices.Clone(targets), func(s *model.Snapshot) bool { _, ok := s.Holds[tag]; return !ok })
	if len(held) == 0 {
		return a.Fail(what, "no such tag on this dataset")
	}
	for _, s := range held {
		delete(s.Holds, tag)
		a.Store.Touch(s.DS.Pool)
		if s.Defer && len(s.Holds) == 0 && len(s.Clones()) == 0 {
			x.remove(s)
		}
	}
	return 0
}

func cmdHolds(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "rHp")
	if !ok {
		return 2
	}
	recurse, scripted, parsable := false, false, false
	for _, o := range opts {
		switch o.Flag {
		case 'r':
			recurse = true
		case 'H':
			scripted = true
		case 'p':
			parsable = true
		}
	}
	if len(rest) == 0 {
		return a.Usage()
	}
	if !a.Begin(false) {
		return 1
	}
	code := 0
	var found []*model.Snapshot
	for _, r := range rest {
		ds, snap, ok := strings.Cut(r, "@")
		if !ok {
			a.Failf("'%s' is not a snapshot", r)
			code = 1
			continue
		}
		if !recurse {
			o, ok := a.Open(r, model.KindSnapshot)
			if !ok {
				code = 1
				continue
			}
			found = append(found, o.Snap)
			continue
		}
		o, ok := a.Open(ds, model.FsVol|model.KindSnapshot)
		if !ok {
			code = 1
			continue
		}
		for _, d := range o.DS.Below() {
			if s := d.Snapshot(snap); s != nil {
				found = append(found, s)
			}
		}
	}
	printHolds(a, found, scripted, parsable)
	if len(found) == 0 {
		fmt.Fprintln(a.Err, "no datasets available")
	}
	return code
}

func printHolds(a *app.App, snaps []*model.Snapshot, scripted, parsable bool) {
	// OpenZFS pads the name with the width of tags and the other way round.
	nw, tw := 0, 0
	for _, s := range snaps {
		nw = max(nw, len(s.Full()))
		for t := range s.Holds {
			tw = max(tw, len(t))
		}
	}
	if !scripted {
		fmt.Fprintf(a.Out, "%-*s  %-*s  TIMESTAMP\n", nw, "NAME", tw, "TAG")
	}
	for _, s := range snaps {
		for _, tag := range slices.Sorted(maps.Keys(s.Holds)) {
			when := time.Unix(s.Holds[tag], 0)
			stamp := fmt.Sprintf("%s %2d %2d:%02d %d", when.Format("Mon Jan"), when.Day(), when.Hour(), when.Minute(), when.Year())
			if parsable {
				stamp = fmt.Sprint(when.Unix())
			}
			if scripted {
				fmt.Fprintf(a.Out, "%s\t%s\t%s\n", s.Full(), tag, stamp)
			} else {
				fmt.Fprintf(a.Out, "%-*s  %-*s  %s\n", nw, s.Full(), tw, tag, stamp)
			}
		}
	}
}
