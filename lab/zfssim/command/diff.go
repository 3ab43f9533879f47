package command

import (
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func cmdDiff(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "FHth")
	if !ok {
		return 2
	}
	kinds := false
	for _, o := range opts {
		kinds = kinds || o.Flag == 'F'
	}
	if len(rest) < 1 {
		return a.UsageError("must provide at least one snapshot name")
	}
	if len(rest) > 2 {
		return a.UsageError("too many arguments")
	}
	if !a.Begin(false) {
		return 1
	}
	if !strings.Contains(rest[0], "@") {
		return a.Failf("Badly formed snapshot name %s: missing '@' delimiter in snapshot name", rest[0])
	}
	from, ok := a.Open(rest[0], model.KindSnapshot)
	if !ok {
		return 1
	}
	to := model.Object{DS: from.DS}
	if len(rest) == 2 {
		name := rest[1]
		if strings.HasPrefix(name, "@") {
			name = from.DS.Name + name
		}
		if to, ok = a.Open(name, model.KindDataset); !ok {
			return a.Fail("Not an earlier snapshot from the same fs", "invalid name")
		}
	}
	for _, d := range []*model.Dataset{to.DS, from.DS} {
		if len(a.Store.MountsOf(d)) == 0 {
			return a.Fail("Cannot diff an unmounted snapshot", "operation not applicable to datasets of this type")
		}
	}
	old, err := a.Store.Manifest(from.DS.Pool, from.Snap.Manifest)
	if err != nil {
		return a.Failf("zfssim: %v", err)
	}
	var cur machine.Manifest
	if to.Snap != nil {
		cur, err = a.Store.Manifest(to.DS.Pool, to.Snap.Manifest)
	} else {
		cur, err = a.Store.LiveState(to.DS)
	}
	if err != nil {
		return a.Failf("zfssim: %v", err)
	}
	mp, _ := to.DS.Mountpoint()
	before, after := old.ByPath(), cur.ByPath()
	say := func(mark string, e *machine.Entry) {
		path := strings.TrimSuffix(mp+"/"+escapePath(string(e.Path)), "/")
		if len(e.Path) == 0 {
			path = mp + "/"
		}
		if kinds {
			fmt.Fprintf(a.Out, "%s\t%s\t%s\n", mark, fileKind(e), path)
		} else {
			fmt.Fprintf(a.Out, "%s\t%s\n", mark, path)
		}
	}
	for _, e := range cur {
		if o := before[string(e.Path)]; o == nil {
			say("+", e)
		} else if !o.Same(e) {
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

func fileKind(e *machine.Entry) string {
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
