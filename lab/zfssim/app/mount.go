package app

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// TryMount mounts one filesystem and prints what prevents it; explicit is
// set when the user named it.
func (a *App) TryMount(d *model.Dataset, explicit bool) bool {
	what := fmt.Sprintf("cannot mount '%s'", d.Name)
	if d.Partial {
		if explicit {
			a.Fail(what, `Contains partially-completed state from "zfs receive -s", which can be resumed with "zfs send -t"`)
		}
		return !explicit
	}
	if len(a.Store.MountsOf(d)) > 0 {
		if explicit {
			a.Fail(what, "filesystem already mounted")
			return false
		}
		return true
	}
	mp, _ := d.Mountpoint()
	switch {
	case d.Prop("canmount") == "off":
		if explicit {
			a.Fail(what, "'canmount' property is set to 'off'")
		}
		return !explicit
	case mp == "none":
		if explicit {
			a.Fail(what, "no mountpoint set")
		}
		return !explicit
	case mp == "legacy":
		if explicit {
			a.Fail(what, "legacy mountpoint\nuse mount(8) to mount this filesystem")
		}
		return !explicit
	case d.Prop("canmount") == "noauto" && !explicit:
		return true
	}
	if d.Crypt != nil && !a.Store.KeyLoaded(d) {
		if !explicit {
			what = fmt.Sprintf("cannot mount '%s'", mp)
		}
		a.Fail(what, "encryption key not loaded")
		return false
	}
	if d.Prop("overlay") == "off" {
		if !a.Store.M.Mounts.Empty(mp) {
			a.Fail(fmt.Sprintf("cannot mount '%s'", mp), "directory is not empty")
			return false
		}
	}
	if err := a.Store.Mount(d, false); err != nil {
		var mountpoint *machine.MountpointError
		if errors.As(err, &mountpoint) {
			a.Fail(fmt.Sprintf("cannot mount '%s'", mp), "failed to create mountpoint: "+Strerror(mountpoint.Cause))
		} else {
			a.Fail(what, Strerror(err))
		}
		return false
	}
	return true
}

// UnmountTree unmounts a filesystem and those below it, children first.
func (a *App) UnmountTree(d *model.Dataset, force bool) ([]*model.Dataset, bool) {
	all := d.Below()
	sort.Slice(all, func(i, j int) bool { return all[i].Name > all[j].Name })
	var done []*model.Dataset
	for _, e := range all {
		if len(a.Store.MountsOf(e)) == 0 {
			continue
		}
		if path, err := a.Store.Unmount(e, force); err != nil {
			a.UnmountFailed(path, err)
			for i := len(done) - 1; i >= 0; i-- {
				a.TryMount(done[i], true)
			}
			return nil, false
		}
		done = append(done, e)
	}
	return done, true
}

func (a *App) UnmountFailed(path string, err error) {
	why := Strerror(err)
	if errors.Is(err, syscall.EBUSY) {
		why = "pool or dataset is busy"
	}
	a.Fail(fmt.Sprintf("cannot unmount '%s'", path), why)
}

// DatasetAt finds the filesystem mounted at a path.
func (a *App) DatasetAt(path string) *model.Dataset {
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	path = filepath.Clean(path)
	for id, paths := range a.Store.M.Mounts.Table() {
		for _, mp := range paths {
			if mp != path {
				continue
			}
			for _, p := range a.Store.Pools {
				for _, d := range p.Datasets {
					if d.ID == id {
						return d
					}
				}
			}
		}
	}
	return nil
}

func bareErrno(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Strerror is the C library's text for an error.
func Strerror(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		t := no.Error()
		return strings.ToUpper(t[:1]) + t[1:]
	}
	return err.Error()
}
