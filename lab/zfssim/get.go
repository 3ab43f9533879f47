package main

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

func cmdGet(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "d:o:s:jrt:Hp")
	if !ok {
		return 2
	}
	columns := []string{"name", "property", "value", "source"}
	scripted, literal := false, false
	sources := map[string]bool{"local": true, "default": true, "inherited": true, "received": true, "-": true}
	sel := selection{kinds: kindDataset | kindBookmark, depth: -1}
	for _, o := range opts {
		switch o.flag {
		case 'p':
			literal = true
		case 'H':
			scripted = true
		case 'r':
			sel.recurse = true
		case 'd':
			n, err := strconv.Atoi(o.arg)
			if err != nil || n < 0 {
				return a.usageError("%s is not an integer", o.arg)
			}
			sel.depth, sel.recurse = n, true
		case 't':
			if sel.kinds, ok = a.parseTypes(o.arg); !ok {
				return 2
			}
		case 's':
			sources = map[string]bool{}
			for _, s := range strings.Split(o.arg, ",") {
				switch s {
				case "local", "default", "inherited", "received", "temporary":
					sources[s] = true
				case "none":
					sources["-"] = true
				default:
					return a.usageError("invalid source '%s'", s)
				}
			}
		case 'o':
			columns = strings.Split(o.arg, ",")
			if o.arg == "all" {
				columns = []string{"name", "property", "value", "received", "source"}
			}
			for _, c := range columns {
				switch c {
				case "name", "property", "value", "received", "source":
				default:
					return a.usageError("invalid column name '%s'", c)
				}
			}
		case 'j':
			return a.failf("zfssim: get -j is not simulated")
		}
	}
	if len(rest) < 1 {
		return a.usageError("missing property argument")
	}
	if (sel.kinds == kindSnapshot || sel.kinds == kindBookmark) && len(rest) > 1 && !sel.recurse && sel.depth < 0 {
		sel.recurse, sel.depth = true, 1
	}
	v := newView(a.store, a.err)
	all := rest[0] == "all"
	var names []string
	if !all {
		if names, ok = a.propertyList(rest[0], v.table); !ok {
			return a.usage()
		}
	}
	if !a.begin(false) {
		return 1
	}
	objs, ok := a.collect(rest[1:], sel)
	v.sort(objs, nil)
	var rows [][]string
	if !scripted {
		head := make([]string, len(columns))
		for i, c := range columns {
			head[i] = strings.ToUpper(c)
		}
		rows = append(rows, head)
	}
	for _, o := range objs {
		props := names
		if all {
			props = v.allProperties(o)
		}
		for _, n := range props {
			val, src, has := v.value(o, n, literal)
			if !has {
				if all {
					continue
				}
				val, src = "-", source{kind: "-"}
			}
			if all && val == "-" && skippedWhenUnset(n) {
				continue
			}
			if !sources[src.kind] {
				continue
			}
			row := make([]string, len(columns))
			for i, c := range columns {
				switch c {
				case "name":
					row[i] = o.name()
				case "property":
					row[i] = n
				case "value":
					row[i] = val
				case "source":
					row[i] = src.String()
				case "received":
					row[i] = v.received(o, n, literal)
				}
			}
			rows = append(rows, row)
		}
	}
	if scripted {
		for _, r := range rows {
			fmt.Fprintln(a.out, strings.Join(r, "\t"))
		}
	} else if len(rows) > 1 {
		a.printTable(rows, columns)
	}
	if !ok {
		return 1
	}
	return 0
}

// received is the received value of a property, for -o received.
func (v *view) received(o object, name string, literal bool) string {
	from := o.ds.Received
	if o.snap != nil {
		from = o.snap.Received
	}
	val, ok := from[name]
	if !ok {
		return "-"
	}
	if v.table[name].number {
		return showNumber(name, val, literal)
	}
	return val
}

// skippedWhenUnset tells the properties that "get all" leaves out when there
// is nothing to say.
func skippedWhenUnset(n string) bool {
	return n == "origin" || n == "encryptionroot" || n == "keystatus"
}

// allProperties are the properties that "get all" shows of an object.
func (v *view) allProperties(o object) []string {
	order := strings.Fields("type creation used available referenced compressratio mounted origin quota reservation " +
		"volsize volblocksize recordsize mountpoint sharenfs checksum compression atime devices exec setuid readonly zoned " +
		"snapdir aclmode aclinherit createtxg canmount xattr copies version utf8only normalization casesensitivity vscan " +
		"nbmand sharesmb refquota refreservation guid primarycache secondarycache usedbysnapshots usedbydataset " +
		"usedbychildren usedbyrefreservation defer_destroy userrefs logbias objsetid dedup mlslabel sync dnodesize " +
		"refcompressratio written logicalused logicalreferenced volmode filesystem_limit snapshot_limit filesystem_count " +
		"snapshot_count snapdev acltype context fscontext defcontext rootcontext relatime redundant_metadata overlay " +
		"encryption keylocation keyformat pbkdf2iters encryptionroot keystatus special_small_blocks snapshots_changed " +
		"prefetch volthreading direct longname")
	if o.ds != nil && v.store.resumeToken(o.ds) != "" {
		order = append(order, "receive_resume_token")
	}
	users := map[string]bool{}
	for d := o.ds; d != nil; d = d.parent() {
		for n := range d.Local {
			users[n] = users[n] || isUserProperty(n)
		}
		for n := range d.Received {
			users[n] = users[n] || isUserProperty(n)
		}
	}
	if o.snap != nil {
		for n := range o.snap.Local {
			users[n] = users[n] || isUserProperty(n)
		}
	}
	var extra []string
	for n, user := range users {
		if user {
			extra = append(extra, n)
		}
	}
	sort.Strings(extra)
	return append(order, extra...)
}
