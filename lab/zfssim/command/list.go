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

// sortKey is one -s or -S of a listing.
type sortKey struct {
	name    string
	reverse bool
}

// less is the order of a listing: by name, snapshots behind their dataset in
// the order in which they were made, bookmarks behind them.
func less(a, b model.Object) bool {
	an, bn := a.DS.Name, b.DS.Name
	if a.Mark != nil {
		an += "#" + a.Mark.Name
	}
	if b.Mark != nil {
		bn += "#" + b.Mark.Name
	}
	if an != bn {
		return an < bn
	}
	if a.Snap == nil || b.Snap == nil {
		return a.Snap == nil && b.Snap != nil
	}
	return a.Snap.TXG < b.Snap.TXG
}

func sortObjects(v *store.View, objs []model.Object, keys []sortKey) {
	sort.SliceStable(objs, func(i, j int) bool {
		for _, k := range keys {
			x, _, okx := v.Value(objs[i], k.name, true)
			y, _, oky := v.Value(objs[j], k.name, true)
			if !okx && !oky {
				continue
			}
			if okx != oky {
				return okx
			}
			c := compareValues(x, y)
			if c == 0 {
				continue
			}
			if k.reverse {
				c = -c
			}
			return c < 0
		}
		return less(objs[i], objs[j])
	})
}

func compareValues(x, y string) int {
	m, errx := strconv.ParseUint(x, 10, 64)
	n, erry := strconv.ParseUint(y, 10, 64)
	if errx == nil && erry == nil {
		switch {
		case m < n:
			return -1
		case m > n:
			return 1
		}
		return 0
	}
	return strings.Compare(x, y)
}

func cmdList(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "jHS:d:o:prs:t:")
	if !ok {
		return 2
	}
	fields := "name,used,available,referenced,mountpoint"
	scripted, literal, typed := false, false, false
	sel := app.Selection{Kinds: model.KindFilesystem | model.KindVolume, Depth: -1}
	var keys []sortKey
	for _, o := range opts {
		switch o.Flag {
		case 'o':
			fields = o.Arg
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
		case 's', 'S':
			keys = append(keys, sortKey{model.Canonical(o.Arg), o.Flag == 'S'})
		case 't':
			typed = true
			if sel.Kinds, ok = a.ParseTypes(o.Arg); !ok {
				return 2
			}
		case 'j':
			return a.Failf("zfssim: list -j is not simulated")
		}
	}
	if !typed && len(rest) > 0 { // a snapshot that is named is shown without -t too
		for _, r := range rest {
			if strings.Contains(r, "@") {
				sel.Kinds |= model.KindSnapshot
			}
		}
	}
	if (sel.Kinds == model.KindSnapshot || sel.Kinds == model.KindBookmark) && len(rest) > 0 && !sel.Recurse && sel.Depth < 0 {
		sel.Recurse, sel.Depth = true, 1
	}
	v := store.NewView(a.Store, a.Err)
	names, ok := a.PropertyList(strings.Replace(fields, "space", "name,available,used,usedbysnapshots,usedbydataset,usedbyrefreservation,usedbychildren", 1), v.Table)
	if !ok {
		return a.Usage()
	}
	if !a.Begin(false) {
		return 1
	}
	if !typed && len(rest) > 0 && sel.Recurse {
		sel.Kinds = model.KindFilesystem | model.KindVolume
	}
	objs, ok := a.Collect(rest, sel)
	sortObjects(v, objs, keys)
	rows := make([][]string, 0, len(objs)+1)
	if !scripted {
		head := make([]string, len(names))
		for i, n := range names {
			head[i] = columnName(n)
		}
		rows = append(rows, head)
	}
	for _, o := range objs {
		row := make([]string, len(names))
		for i, n := range names {
			val, _, has := v.Value(o, n, literal)
			if !has {
				val = "-"
			}
			row[i] = val
		}
		rows = append(rows, row)
	}
	if scripted {
		for _, r := range rows {
			fmt.Fprintln(a.Out, strings.Join(r, "\t"))
		}
	} else if len(objs) > 0 {
		a.PrintTable(rows, names)
	} else if ok {
		fmt.Fprintln(a.Err, "no datasets available")
	}
	if !ok {
		return 1
	}
	return 0
}

// columnName is the heading of a property.
func columnName(n string) string {
	short := map[string]string{"available": "AVAIL", "referenced": "REFER", "compression": "COMPRESS", "readonly": "RDONLY",
		"recordsize": "RECSIZE", "volblocksize": "VOLBLOCK", "compressratio": "RATIO", "usedbydataset": "USEDDS",
		"usedbysnapshots": "USEDSNAP", "usedbychildren": "USEDCHILD", "usedbyrefreservation": "USEDREFRESERV",
		"reservation": "RESERV", "refreservation": "REFRESERV", "logicalused": "LUSED", "logicalreferenced": "LREFER",
		"receive_resume_token": "RESUMETOK", "encryptionroot": "ENCROOT", "casesensitivity": "CASE", "normalization": "NORMALIZATION"}
	if s, ok := short[n]; ok {
		return s
	}
	return strings.ToUpper(n)
}
