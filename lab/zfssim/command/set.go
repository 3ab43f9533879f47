package command

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
)

func cmdSet(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "u")
	if !ok {
		return 2
	}
	noMount := len(opts) > 0
	props := map[string]string{}
	var names []string
	for _, r := range rest {
		if n, v, ok := app.SplitProperty(r); ok {
			if _, twice := props[n]; twice {
				return a.UsageError("property '%s' specified multiple times", n)
			}
			props[n] = v
			continue
		}
		names = append(names, r)
	}
	if len(rest) == 0 {
		return a.UsageError("missing arguments")
	}
	if len(props) == 0 {
		return a.UsageError("missing property=value argument(s)")
	}
	if len(names) == 0 {
		return a.UsageError("missing dataset name(s)")
	}
	if !a.Begin(true) {
		return 1
	}
	code := 0
	for _, name := range names {
		o, ok := a.Open(name, model.KindDataset)
		if !ok {
			code = 1
			continue
		}
		if !setOn(a, o, props, noMount) {
			code = 255
		}
	}
	if !a.Commit() {
		return 1
	}
	return code
}

// setOn sets properties on one object; all of them or, after an error that it
// has printed, none.
func setOn(a *app.App, o model.Object, props map[string]string, noMount bool) bool {
	table := model.Settable()
	checked := map[string]string{}
	for _, n := range slices.Sorted(maps.Keys(props)) {
		c := model.Canonical(n)
		what := fmt.Sprintf("cannot set property for '%s'", o.Name())
		val, why := a.CheckValue(table, c, props[n], o.Kind(), false)
		if why == "" && o.Snap != nil && !model.IsUserProperty(c) {
			why = "this property can not be modified for snapshots"
		}
		if why != "" {
			a.Fail(what, why)
			return false
		}
		if c == "keylocation" && (o.DS.Crypt == nil || o.DS.Crypt.Root != o.DS.ID) {
			a.Fail(what, "keylocation may only be set on encryption roots")
			return false
		}
		if q, err := strconv.ParseUint(val, 10, 64); c == "quota" && err == nil && q > 0 && q < store.NewView(a.Store, a.Err).Used(o.DS) {
			a.Fail(what, "size is less than current used or reserved space")
			return false
		}
		checked[c] = val
	}
	a.Store.Touch(o.DS.Pool)
	if o.Snap != nil {
		if o.Snap.Local == nil {
			o.Snap.Local = map[string]string{}
		}
		maps.Copy(o.Snap.Local, checked)
		return true
	}
	return applyChange(a, o.DS, slices.Collect(maps.Keys(checked)), noMount, func() {
		for n, v := range checked {
			o.DS.SetLocal(n, v)
		}
	})
}

// applyChange changes properties and does to mounts and volumes what follows
// from it.
func applyChange(a *app.App, d *model.Dataset, names []string, noMount bool, change func()) bool {
	moves := slices.Contains(names, "mountpoint") || slices.Contains(names, "canmount")
	var unmounted []*model.Dataset
	wasMounted := len(a.Store.MountsOf(d)) > 0
	if moves && !d.Volume && !noMount {
		if slices.Contains(names, "mountpoint") {
			var ok bool
			if unmounted, ok = a.UnmountTree(d, false); !ok {
				return false
			}
		}
	}
	a.Store.RemoveMountpoints(unmounted)
	before := d.Prop("canmount")
	change()
	if moves && !d.Volume && !noMount {
		switch { // canmount=on mounts nothing
		case d.Prop("canmount") == "off" && before != "off":
			if _, ok := a.UnmountTree(d, false); !ok {
				return false
			}
		case slices.Contains(names, "mountpoint"):
			if !wasMounted && len(unmounted) == 0 && d.Mountable() && (d.Crypt == nil || a.Store.KeyLoaded(d)) {
				return a.TryMount(d, false)
			}
			for _, e := range slices.Backward(unmounted) {
				if mp, _ := e.Mountpoint(); strings.HasPrefix(mp, "/") {
					a.TryMount(e, true)
				}
			}
		}
	}
	for _, n := range names {
		switch n {
		case "readonly", "devices", "exec", "setuid", "atime":
			for _, e := range d.Below() {
				if e.Volume {
					if e.Live {
						a.Store.LinkVolume(e)
					}
				} else if err := a.Store.Remount(e); err != nil {
					a.Fail(fmt.Sprintf("cannot remount '%s'", e.Name), app.Strerror(err))
					return false
				}
			}
		case "volsize", "volmode":
			if d.Volume {
				if err := a.Store.LinkVolume(d); err != nil {
					a.Fail(fmt.Sprintf("cannot set property for '%s'", d.Name), err.Error())
					return false
				}
			}
		}
	}
	return true
}

func cmdInherit(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "rS")
	if !ok {
		return 2
	}
	recurse, received := false, false
	for _, o := range opts {
		recurse = recurse || o.Flag == 'r'
		received = received || o.Flag == 'S'
	}
	switch len(rest) {
	case 0:
		return a.UsageError("missing property argument")
	case 1:
		return a.UsageError("missing dataset argument")
	}
	name := model.Canonical(rest[0])
	table := model.Settable()
	p, native := table[name]
	if !native && !model.IsUserProperty(name) {
		if model.KnownStats()[name] {
			fmt.Fprintf(a.Err, "%s property is read-only\n", name)
			return 1
		}
		return a.UsageError("invalid property '%s'", rest[0])
	}
	if native && p.Once {
		fmt.Fprintf(a.Err, "%s property is read-only\n", name)
		return 1
	}
	if native && !p.Inherit && !received {
		switch name {
		case "quota", "refquota":
			fmt.Fprintf(a.Err, "'%s' property cannot be inherited\nuse 'zfs set %s=none' to clear\nuse 'zfs inherit -S %s' to revert to received value\n", name, name, name)
			return 1
		default:
			fmt.Fprintf(a.Err, "'%s' property cannot be inherited\n", name)
			return 1
		}
	}
	if !a.Begin(true) {
		return 1
	}
	kinds := model.KindDataset
	objs, ok := a.Collect(rest[1:], app.Selection{Kinds: kinds, Recurse: recurse, Depth: -1})
	code := 0
	if !ok {
		code = 1
	}
	for _, o := range objs {
		a.Store.Touch(o.DS.Pool)
		if o.Snap != nil {
			delete(o.Snap.Local, name)
			continue
		}
		if native && p.Kinds&o.Kind() == 0 {
			if !recurse {
				code = a.Fail(fmt.Sprintf("cannot inherit %s for '%s'", name, o.Name()), "property doesn't apply to datasets of this type")
			}
			continue
		}
		done := applyChange(a, o.DS, []string{name}, false, func() {
			if received {
				delete(o.DS.Local, name)
				delete(o.DS.Inherited, name)
			} else {
				o.DS.SetInherited(name)
			}
		})
		if !done {
			code = 1
		}
	}
	if !a.Commit() {
		return 1
	}
	return code
}
