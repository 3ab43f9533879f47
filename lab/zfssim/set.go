package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// checkValue brings a property's value into the form in which it is kept, or
// says what is wrong in the words of libzfs.
func (a *app) checkValue(table map[string]property, name, value string, kinds int, creating bool) (stored, why string) {
	if isUserProperty(name) {
		if len(value) >= 8192 {
			return "", "property value too long"
		}
		return value, ""
	}
	p, ok := table[name]
	if !ok {
		if knownStats()[name] {
			return "", fmt.Sprintf("'%s' is readonly", name)
		}
		return "", fmt.Sprintf("invalid property '%s'", name)
	}
	if p.kinds&kinds == 0 {
		return "", fmt.Sprintf("'%s' does not apply to datasets of this type", name)
	}
	if p.once && !creating {
		return "", fmt.Sprintf("'%s' is readonly", name)
	}
	if p.number {
		if value == "none" {
			if strings.HasSuffix(name, "_limit") {
				return p.def, ""
			}
			return "0", ""
		}
		n, ok := parseNumber(value)
		if !ok {
			return "", fmt.Sprintf("bad numeric value '%s'", value)
		}
		if n == 0 && (name == "quota" || name == "refquota") {
			return "", "use 'none' to disable quota/refquota"
		}
		if name == "recordsize" && (n < 512 || n > 16<<20 || n&(n-1) != 0) {
			return "", "'recordsize' must be power of 2 from 512B to 16M"
		}
		return strconv.FormatUint(n, 10), ""
	}
	if p.values != "" && !oneOf(name, value, p.values) {
		return "", fmt.Sprintf("'%s' must be one of '%s'", name, p.values)
	}
	if name == "mountpoint" && value != "none" && value != "legacy" && !strings.HasPrefix(value, "/") {
		return "", "'mountpoint' must be an absolute path, 'none', or 'legacy'"
	}
	return value, ""
}

func oneOf(name, value, values string) bool {
	if name == "compression" {
		for _, p := range []string{"gzip-", "zstd-fast-", "zstd-"} {
			if rest, ok := strings.CutPrefix(value, p); ok {
				if _, err := strconv.Atoi(rest); err == nil {
					return true
				}
			}
		}
	}
	return slices.Contains(strings.Split(values, " | "), value)
}

func cmdSet(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "u")
	if !ok {
		return 2
	}
	noMount := len(opts) > 0
	props := map[string]string{}
	var names []string
	for _, r := range rest {
		if n, v, ok := splitProperty(r); ok {
			if _, twice := props[n]; twice {
				return a.usageError("property '%s' specified multiple times", n)
			}
			props[n] = v
			continue
		}
		names = append(names, r)
	}
	if len(rest) == 0 {
		return a.usageError("missing arguments")
	}
	if len(props) == 0 {
		return a.usageError("missing property=value argument(s)")
	}
	if len(names) == 0 {
		return a.usageError("missing dataset name(s)")
	}
	if !a.begin(true) {
		return 1
	}
	code := 0
	for _, name := range names {
		o, ok := a.open(name, kindDataset)
		if !ok {
			code = 1
			continue
		}
		if !a.setOn(o, props, noMount) {
			code = 255
		}
	}
	if !a.commit() {
		return 1
	}
	return code
}

// setOn sets properties on one object; all of them or, after an error that it
// has printed, none.
func (a *app) setOn(o object, props map[string]string, noMount bool) bool {
	table := settable()
	checked := map[string]string{}
	for _, n := range slices.Sorted(maps.Keys(props)) {
		c := canonical(n)
		what := fmt.Sprintf("cannot set property for '%s'", o.name())
		val, why := a.checkValue(table, c, props[n], o.kind(), false)
		if why == "" && o.snap != nil && !isUserProperty(c) {
			why = "this property can not be modified for snapshots"
		}
		if why != "" {
			a.fail(what, why)
			return false
		}
		if c == "keylocation" && (o.ds.Crypt == nil || o.ds.Crypt.Root != o.ds.ID) {
			a.fail(what, "keylocation may only be set on encryption roots")
			return false
		}
		if q, err := strconv.ParseUint(val, 10, 64); c == "quota" && err == nil && q > 0 && q < newView(a.store, a.err).used(o.ds) {
			a.fail(what, "size is less than current used or reserved space")
			return false
		}
		checked[c] = val
	}
	a.store.touch(o.ds.pool)
	if o.snap != nil {
		if o.snap.Local == nil {
			o.snap.Local = map[string]string{}
		}
		maps.Copy(o.snap.Local, checked)
		return true
	}
	return a.applyChange(o.ds, slices.Collect(maps.Keys(checked)), noMount, func() {
		for n, v := range checked {
			o.ds.setLocal(n, v)
		}
	})
}

// applyChange changes properties and does to mounts and volumes what follows
// from it.
func (a *app) applyChange(d *Dataset, names []string, noMount bool, change func()) bool {
	moves := slices.Contains(names, "mountpoint") || slices.Contains(names, "canmount")
	var unmounted []*Dataset
	wasMounted := len(a.store.mountsOf(d)) > 0
	if moves && !d.Volume && !noMount {
		if slices.Contains(names, "mountpoint") {
			var ok bool
			if unmounted, ok = a.unmountTree(d, false); !ok {
				return false
			}
		}
	}
	a.store.removeMountpoints(unmounted)
	before := d.prop("canmount")
	change()
	if moves && !d.Volume && !noMount {
		switch { // canmount=on mounts nothing
		case d.prop("canmount") == "off" && before != "off":
			if _, ok := a.unmountTree(d, false); !ok {
				return false
			}
		case slices.Contains(names, "mountpoint"):
			if !wasMounted && len(unmounted) == 0 && d.mountable() && (d.Crypt == nil || a.store.keyLoaded(d)) {
				return a.tryMount(d, false)
			}
			for _, e := range slices.Backward(unmounted) {
				if mp, _ := e.mountpoint(); strings.HasPrefix(mp, "/") {
					a.tryMount(e, true)
				}
			}
		}
	}
	for _, n := range names {
		switch n {
		case "readonly", "devices", "exec", "setuid", "atime":
			for _, e := range d.below() {
				if e.Volume {
					if e.Live {
						a.store.linkVolume(e)
					}
				} else if err := a.store.remount(e); err != nil {
					a.fail(fmt.Sprintf("cannot remount '%s'", e.Name), strerror(err))
					return false
				}
			}
		case "volsize", "volmode":
			if d.Volume {
				if err := a.store.linkVolume(d); err != nil {
					a.fail(fmt.Sprintf("cannot set property for '%s'", d.Name), err.Error())
					return false
				}
			}
		}
	}
	return true
}

func cmdInherit(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "rS")
	if !ok {
		return 2
	}
	recurse, received := false, false
	for _, o := range opts {
		recurse = recurse || o.flag == 'r'
		received = received || o.flag == 'S'
	}
	switch len(rest) {
	case 0:
		return a.usageError("missing property argument")
	case 1:
		return a.usageError("missing dataset argument")
	}
	name := canonical(rest[0])
	table := settable()
	p, native := table[name]
	if !native && !isUserProperty(name) {
		if knownStats()[name] {
			fmt.Fprintf(a.err, "%s property is read-only\n", name)
			return 1
		}
		return a.usageError("invalid property '%s'", rest[0])
	}
	if native && p.once {
		fmt.Fprintf(a.err, "%s property is read-only\n", name)
		return 1
	}
	if native && !p.inherit && !received {
		switch name {
		case "quota", "refquota":
			fmt.Fprintf(a.err, "'%s' property cannot be inherited\nuse 'zfs set %s=none' to clear\nuse 'zfs inherit -S %s' to revert to received value\n", name, name, name)
			return 1
		default:
			fmt.Fprintf(a.err, "'%s' property cannot be inherited\n", name)
			return 1
		}
	}
	if !a.begin(true) {
		return 1
	}
	kinds := kindDataset
	objs, ok := a.collect(rest[1:], selection{kinds: kinds, recurse: recurse, depth: -1})
	code := 0
	if !ok {
		code = 1
	}
	for _, o := range objs {
		a.store.touch(o.ds.pool)
		if o.snap != nil {
			delete(o.snap.Local, name)
			continue
		}
		if native && p.kinds&o.kind() == 0 {
			if !recurse {
				code = a.fail(fmt.Sprintf("cannot inherit %s for '%s'", name, o.name()), "property doesn't apply to datasets of this type")
			}
			continue
		}
		done := a.applyChange(o.ds, []string{name}, false, func() {
			if received {
				delete(o.ds.Local, name)
				delete(o.ds.Inherited, name)
			} else {
				o.ds.setInherited(name)
			}
		})
		if !done {
			code = 1
		}
	}
	if !a.commit() {
		return 1
	}
	return code
}
