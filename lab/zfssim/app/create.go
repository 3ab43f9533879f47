package app

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// CheckParent says why a dataset can't be made under this name.
func (a *App) CheckParent(name string) (parent *model.Dataset, why string) {
	pn := model.ParentName(name)
	if pn == "" {
		return nil, "missing dataset name"
	}
	pool, _, _ := strings.Cut(name, "/")
	if a.Store.Pools[pool] == nil {
		return nil, fmt.Sprintf("no such pool '%s'", pool)
	}
	o, ok := a.Store.Find(pn)
	if !ok {
		return nil, "parent does not exist"
	}
	if o.DS.Volume {
		return nil, "parent is not a filesystem"
	}
	return o.DS, ""
}

// CreateAncestors makes the missing parents of name, mounted as usual.
func (a *App) CreateAncestors(name string) bool {
	parts := strings.Split(model.ParentName(name), "/")
	for i := 2; i <= len(parts); i++ {
		n := strings.Join(parts[:i], "/")
		if _, ok := a.Store.Find(n); ok {
			continue
		}
		parent, why := a.CheckParent(n)
		if why != "" {
			a.Fail(fmt.Sprintf("cannot create '%s'", n), why)
			return false
		}
		d := a.Store.NewDataset(parent.Pool, n, false)
		d.Live = true
		if !a.InheritCrypt(d, parent) || !a.MakeLive(d) {
			return false
		}
		if d.Mountable() {
			a.TryMount(d, false)
		}
	}
	return true
}

func (a *App) MakeLive(d *model.Dataset) bool {
	if err := a.Store.M.Trees.Make(a.Store.LiveDir(d)); err != nil {
		a.Failf("zfssim: %v", err)
		return false
	}
	if d.Volume {
		if err := a.Store.LinkVolume(d); err != nil {
			a.Failf("zfssim: %v", err)
			return false
		}
	}
	return true
}

// CheckProperties checks the properties of a dataset about to be made.
func (a *App) CheckProperties(what string, props map[string]string, kind int) (map[string]string, bool) {
	table := model.Settable()
	checked := map[string]string{}
	for _, n := range slices.Sorted(maps.Keys(props)) {
		c := model.Canonical(n)
		v, why := a.CheckValue(table, c, props[n], kind, true)
		if why != "" {
			a.Fail(what, why)
			return nil, false
		}
		checked[c] = v
	}
	return checked, true
}

// SetupCrypt makes the keys of a new dataset from its properties or its
// parent's; encryption properties are kept in Crypt, not among the others.
func (a *App) SetupCrypt(d, parent *model.Dataset, props map[string]string, what string) bool {
	suite, format := props["encryption"], props["keyformat"]
	iters := props["pbkdf2iters"]
	for _, n := range []string{"encryption", "keyformat", "pbkdf2iters"} {
		delete(props, n)
	}
	if suite == "off" {
		return true
	}
	if format == "" || format == "none" {
		if suite != "" && (parent == nil || parent.Crypt == nil) {
			a.Fail(what, "Keyformat required for new encryption root.")
			return false
		}
		if _, ok := props["keylocation"]; ok {
			a.Fail(what, "Keyformat required for new encryption root.")
			return false
		}
		return a.InheritCrypt(d, parent)
	}
	if suite == "" || suite == "on" {
		if suite == "" && (parent == nil || parent.Crypt == nil) {
			a.Fail(what, "Encryption must be turned on to set encryption properties.")
			return false
		}
		suite = "aes-256-gcm"
	}
	c := &model.Crypt{Suite: suite, KeyGUID: a.Store.NewGUID(), Root: d.ID, KeyFormat: format, Salt: a.Store.NewID()}
	if format == "passphrase" {
		c.Iters = 350000
		if n, err := strconv.Atoi(iters); err == nil {
			c.Iters = n
		}
	}
	if props["keylocation"] == "" {
		props["keylocation"] = "prompt"
	}
	user, why := a.ReadKey(props["keylocation"], c)
	if why != "" {
		a.Fail(what, why)
		return false
	}
	master := a.Store.Random(32)
	c.Wrapped = a.Store.Wrap(user, master)
	d.Crypt = c
	if err := a.Store.SaveUserKey(d.ID, user); err != nil {
		a.Failf("zfssim: %v", err)
		return false
	}
	return true
}

// InheritCrypt gives a dataset below an encrypted one a key of its own under
// the same encryption root.
func (a *App) InheritCrypt(d, parent *model.Dataset) bool {
	if parent == nil || parent.Crypt == nil {
		return true
	}
	user, err := a.Store.UserKey(parent.Crypt.Root)
	if err != nil {
		a.Fail(fmt.Sprintf("cannot create '%s'", d.Name), "encryption root's key is not loaded or provided")
		return false
	}
	master := a.Store.Random(32)
	d.Crypt = &model.Crypt{Suite: parent.Crypt.Suite, KeyGUID: a.Store.NewGUID(), Root: parent.Crypt.Root, Wrapped: a.Store.Wrap(user, master)}
	return true
}
