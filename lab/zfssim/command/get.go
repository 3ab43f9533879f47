package command

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
)

func cmdGet(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "d:o:s:jrt:Hp")
	if !ok {
		return 2
	}
	columns := []string{"name", "property", "value", "source"}
	scripted, literal := false, false
	sources := map[string]bool{"local": true, "default": true, "inherited": true, "received": true, "-": true}
	sel := app.Selection{Kinds: model.KindDataset | model.KindBookmark, Depth: -1}
	for _, o := range opts {
		switch o.Flag {
		case 'p':
			literal = true
		case 'H':
			scripted = true
		case 'r':
			sel.Recurse = true
		case 'd':
			n, err := strconv.Atoi(o.Arg)
			if err != nil || n < 0 {
				return a.UsageError("%s is not an integer", o.Arg)
			}
			sel.Depth, sel.Recurse = n, true
		case 't':
			if sel.Kinds, ok = a.ParseTypes(o.Arg); !ok {
				return 2
			}
		case 's':
			sources = map[string]bool{}
			for _, s := range strings.Split(o.Arg, ",") {
				switch s {
				case "local", "default", "inherited", "received", "temporary":
					sources[s] = true
				case "none":
					sources["-"] = true
				default:
					return a.UsageError("invalid source '%s'", s)
				}
			}
		case 'o':
			columns = strings.Split(o.Arg, ",")
			if o.Arg == "all" {
				columns = []string{"name", "property", "value", "received", "source"}
			}
			for _, c := range columns {
				switch c {
				case "name", "property", "value", "received", "source":
				default:
					return a.UsageError("invalid column name '%s'", c)
				}
			}
		case 'j':
			return a.Failf("zfssim: get -j is not simulated")
		}
	}
	if len(rest) < 1 {
		return a.UsageError("missing property argument")
	}
	if (sel.Kinds == model.KindSnapshot || sel.Kinds == model.KindBookmark) && len(rest) > 1 && !sel.Recurse && sel.Depth < 0 {
		sel.Recurse, sel.Depth = true, 1
	}
	v := store.NewView(a.Store, a.Err)
	all := rest[0] == "all"
	var names []string
	if !all {
		if names, ok = a.PropertyList(rest[0], v.Table); !ok {
			return a.Usage()
		}
	}
	if !a.Begin(false) {
		return 1
	}
	objs, ok := a.Collect(rest[1:], sel)
	sortObjects(v, objs, nil)
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
			props = allProperties(v, o)
		}
		for _, n := range props {
			val, src, has := v.Value(o, n, literal)
			if !has {
				if all {
					continue
				}
				val, src = "-", model.Source{Kind: "-"}
			}
			if all && val == "-" && skippedWhenUnset(n) {
				continue
			}
			if !sources[src.Kind] {
				continue
			}
			row := make([]string, len(columns))
			for i, c := range columns {
				switch c {
				case "name":
					row[i] = o.Name()
				case "property":
					row[i] = n
				case "value":
					row[i] = val
				case "source":
					row[i] = src.String()
				case "received":
					row[i] = received(v, o, n, literal)
				}
			}
			rows = append(rows, row)
		}
	}
	if scripted {
		for _, r := range rows {
			fmt.Fprintln(a.Out, strings.Join(r, "\t"))
		}
	} else if len(rows) > 1 {
		a.PrintTable(rows, columns)
	}
	if !ok {
		return 1
	}
	return 0
}

// received is the received value of a property, for -o received.
func received(v *store.View, o model.Object, name string, literal bool) string {
	from := o.DS.Received
	if o.Snap != nil {
		from = o.Snap.Received
	}
	val, ok := from[name]
	if !ok {
		return "-"
	}
	if v.Table[name].Number {
		return model.ShowNumber(name, val, literal)
	}
	return val
}

// skippedWhenUnset tells the properties that "get all" leaves out when there
// is nothing to say.
func skippedWhenUnset(n string) bool {
	return n == "origin" || n == "encryptionroot" || n == "keystatus"
}

// allProperties are the properties that "get all" shows of an object.
func allProperties(v *store.View, o model.Object) []string {
	order := strings.Fields("type creation used available referenced compressratio mounted origin quota reservation " +
		"volsize volblocksize recordsize mountpoint sharenfs checksum compression atime devices exec setuid readonly zoned " +
		"snapdir aclmode aclinherit createtxg canmount xattr copies version utf8only normalization casesensitivity vscan " +
		"nbmand sharesmb refquota refreservation guid primarycache secondarycache usedbysnapshots usedbydataset " +
		"usedbychildren usedbyrefreservation defer_destroy userrefs logbias objsetid dedup mlslabel sync dnodesize " +
		"refcompressratio written logicalused logicalreferenced volmode filesystem_limit snapshot_limit filesystem_count " +
		"snapshot_count snapdev acltype context fscontext defcontext rootcontext relatime redundant_metadata overlay " +
		"encryption keylocation keyformat pbkdf2iters encryptionroot keystatus special_small_blocks snapshots_changed " +
		"prefetch volthreading direct longname")
	if o.DS != nil && v.Store.ResumeToken(o.DS) != "" {
		order = append(order, "receive_resume_token")
	}
	users := map[string]bool{}
	for d := o.DS; d != nil; d = d.Parent() {
		for n := range d.Local {
			users[n] = users[n] || model.IsUserProperty(n)
		}
		for n := range d.Received {
			users[n] = users[n] || model.IsUserProperty(n)
		}
	}
	if o.Snap != nil {
		for n := range o.Snap.Local {
			users[n] = users[n] || model.IsUserProperty(n)
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
