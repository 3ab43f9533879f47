package command

import (
	"fmt"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func cmdLoadKey(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "rnaL:")
	if !ok {
		return 2
	}
	recurse, dry, all, location := false, false, false, ""
	for _, o := range opts {
		switch o.Flag {
		case 'r':
			recurse = true
		case 'n':
			dry = true
		case 'a':
			all = true
		case 'L':
			location = o.Arg
		}
	}
	if !a.Begin(true) {
		return 1
	}
	var targets []*model.Dataset
	if all {
		for _, n := range a.Store.PoolNames() {
			for _, d := range a.Store.Pools[n].Sorted() {
				if d.Crypt != nil && d.Crypt.Root == d.ID && !a.Store.KeyLoaded(d) {
					targets = append(targets, d)
				}
			}
		}
	} else {
		if len(rest) < 1 {
			return a.UsageError("Missing dataset argument or -a option")
		}
		o, ok := a.Open(rest[0], model.FsVol)
		if !ok {
			return 1
		}
		targets = []*model.Dataset{o.DS}
		if recurse {
			targets = nil
			for _, d := range o.DS.Below() {
				if d.Crypt != nil && d.Crypt.Root == d.ID && !a.Store.KeyLoaded(d) {
					targets = append(targets, d)
				}
			}
		}
	}
	code, done := 0, 0
	for _, d := range targets {
		if c := a.LoadKey(d, location, dry); c != 0 {
			code = c
		} else {
			done++
		}
	}
	if all || recurse || dry {
		fmt.Fprintf(a.Out, "%d / %d key(s) successfully %s\n", done, len(targets), map[bool]string{true: "verified", false: "loaded"}[dry])
	}
	if !a.Commit() {
		return 1
	}
	return code
}

func cmdUnloadKey(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "ra")
	if !ok {
		return 2
	}
	recurse, all := false, false
	for _, o := range opts {
		recurse = recurse || o.Flag == 'r'
		all = all || o.Flag == 'a'
	}
	if !a.Begin(true) {
		return 1
	}
	var targets []*model.Dataset
	switch {
	case all:
		for _, n := range a.Store.PoolNames() {
			targets = append(targets, a.Store.Pools[n].Sorted()...)
		}
	case len(rest) < 1:
		return a.UsageError("Missing dataset argument or -a option")
	default:
		o, ok := a.Open(rest[0], model.FsVol)
		if !ok {
			return 1
		}
		targets = []*model.Dataset{o.DS}
		if recurse {
			targets = o.DS.Below()
		}
	}
	bad := func(why string) int {
		fmt.Fprintf(a.Err, "Key unload error: %s\n", why)
		return 255
	}
	code, done, tried := 0, 0, 0
	for _, d := range targets {
		if (all || recurse) && (d.Crypt == nil || d.Crypt.Root != d.ID || !a.Store.KeyLoaded(d)) {
			continue
		}
		tried++
		switch {
		case d.Crypt == nil:
			code = bad(fmt.Sprintf("'%s' is not encrypted.", d.Name))
			continue
		case d.Crypt.Root != d.ID:
			code = bad(fmt.Sprintf("Keys must be unloaded for encryption root of '%s' (%s).", d.Name, a.Store.EncryptionRoot(d).Name))
			continue
		case !a.Store.KeyLoaded(d):
			code = bad(fmt.Sprintf("Key already unloaded for '%s'.", d.Name))
			continue
		}
		busy := false
		for _, e := range d.Pool.Datasets {
			busy = busy || e.Crypt != nil && e.Crypt.Root == d.ID && len(a.Store.MountsOf(e)) > 0
		}
		if busy {
			code = bad(fmt.Sprintf("'%s' is busy.", d.Name))
			continue
		}
		if err := a.Store.M.Files.Remove(a.Store.KeyFile(d.ID)); err != nil {
			return a.Failf("zfssim: %v", err)
		}
		for _, e := range d.Pool.Datasets {
			if e.Volume && e.Crypt != nil && e.Crypt.Root == d.ID {
				a.Store.RemoveVolumeLink(e)
			}
		}
		done++
	}
	if all || recurse {
		fmt.Fprintf(a.Out, "%d / %d key(s) successfully unloaded\n", done, tried)
	}
	return code
}

func cmdChangeKey(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "ilo:")
	if !ok {
		return 2
	}
	inherit := false
	props := map[string]string{}
	for _, o := range opts {
		switch o.Flag {
		case 'i':
			inherit = true
		case 'o':
			n, v, ok := app.SplitProperty(o.Arg)
			if !ok {
				return a.UsageError("missing '=' for property=value argument")
			}
			props[n] = v
		}
	}
	if len(rest) != 1 {
		return a.UsageError("Missing dataset argument")
	}
	if !a.Begin(true) {
		return 1
	}
	o, ok := a.Open(rest[0], model.FsVol)
	if !ok {
		return 1
	}
	d := o.DS
	bad := func(why string) int {
		fmt.Fprintf(a.Err, "Key change error: %s\n", why)
		return 255
	}
	if d.Crypt == nil {
		return bad("Dataset not encrypted.")
	}
	if !a.Store.KeyLoaded(d) {
		return bad("Current wrapping key must be loaded.") // it wraps the other keys again
	}
	oldRoot := d.Crypt.Root
	oldUser, err := a.Store.UserKey(oldRoot)
	if err != nil {
		return bad("Dataset key must be loaded.")
	}
	var user []byte
	newRoot := d.ID
	if inherit {
		parent := d.Parent()
		if parent == nil || parent.Crypt == nil {
			return bad("Root dataset cannot inherit key.")
		}
		if user, err = a.Store.UserKey(parent.Crypt.Root); err != nil {
			return bad("Parent key must be loaded.")
		}
		newRoot = parent.Crypt.Root
	} else {
		c := *d.Crypt
		if f, ok := props["keyformat"]; ok {
			c.KeyFormat = f
		} else if oldRoot != d.ID {
			c.KeyFormat = a.Store.EncryptionRoot(d).Crypt.KeyFormat
		}
		c.Salt = a.Store.NewID()
		if c.KeyFormat == "passphrase" && c.Iters == 0 {
			c.Iters = 350000
		}
		loc := props["keylocation"]
		if loc == "" {
			loc = d.Local["keylocation"]
		}
		var why string
		if user, why = a.ReadKey(loc, &c); why != "" {
			return bad(why)
		}
		d.Crypt.KeyFormat, d.Crypt.Salt, d.Crypt.Iters = c.KeyFormat, c.Salt, c.Iters
		if loc == "" {
			loc = "prompt"
		}
		d.SetLocal("keylocation", loc)
	}
	for _, e := range d.Below() {
		if e.Crypt == nil || e.Crypt.Root != oldRoot {
			continue
		}
		master, err := model.Unwrap(oldUser, e.Crypt.Wrapped)
		if err != nil {
			return bad("Incorrect key.")
		}
		e.Crypt.Wrapped, e.Crypt.Root = a.Store.Wrap(user, master), newRoot
	}
	a.Store.Touch(d.Pool)
	if err := a.Store.SaveUserKey(newRoot, user); err != nil {
		return a.Failf("zfssim: %v", err)
	}
	if !a.Commit() {
		return 1
	}
	return 0
}
