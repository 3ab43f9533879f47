package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mountTable reads where datasets are mounted in this mount namespace: dataset
// folder name to mount points. The kernel's table is the only record, so that
// a namespace that ends leaves nothing behind.
func mountTable() map[string][]string {
	t := map[string][]string{}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return t
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(make([]byte, 64<<10), 1<<20)
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		if len(fields) < 5 {
			continue
		}
		root, ok := strings.CutSuffix(fields[3], "/live")
		if !ok {
			continue
		}
		id := filepath.Base(root)
		t[id] = append(t[id], unescapeMount(fields[4]))
	}
	return t
}

func unescapeMount(s string) string {
	for _, p := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, p[0], p[1])
	}
	return s
}

func (s *store) mountsOf(d *Dataset) []string { return mountTable()[d.ID] }

// mountpoint is the path at which a filesystem belongs, or none or legacy.
func (d *Dataset) mountpoint() (string, source) {
	v, src, _ := d.stored(settable(), "mountpoint")
	return d.mountpointFrom(v, src), src
}

func (d *Dataset) mountpointFrom(v string, src source) string {
	if !strings.HasPrefix(v, "/") {
		return v
	}
	rel := ""
	switch src.kind {
	case "inherited":
		rel = strings.TrimPrefix(d.Name, src.from)
	case "default":
		rel = "/" + d.Name
	}
	return filepath.Clean("/" + d.pool.Altroot + v + rel)
}

// mountable says whether mount -a and the like mount the filesystem.
func (d *Dataset) mountable() bool {
	mp, _ := d.mountpoint()
	return !d.Volume && strings.HasPrefix(mp, "/") && d.prop("canmount") == "on" && !d.Partial
}

// mount mounts a filesystem at its place. The caller has checked that it may.
func (s *store) mount(d *Dataset, readonly bool) error {
	mp, _ := d.mountpoint()
	if !d.Live {
		if err := s.materialise(d); err != nil {
			return err
		}
		d.Live = true
		s.touch(d.pool)
	}
	if err := os.MkdirAll(mp, 0o755); err != nil {
		return fmt.Errorf("failed to create mountpoint: %w", bareErrno(err))
	}
	if err := unix.Mount(s.liveDir(d), mp, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	// Private, or mounting a child would show it inside the store as well.
	if err := unix.Mount("", mp, "", unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	flags := uintptr(0)
	if readonly || d.prop("readonly") == "on" {
		flags |= unix.MS_RDONLY
	}
	if d.prop("devices") == "off" {
		flags |= unix.MS_NODEV
	}
	if d.prop("exec") == "off" {
		flags |= unix.MS_NOEXEC
	}
	if d.prop("setuid") == "off" {
		flags |= unix.MS_NOSUID
	}
	if d.prop("atime") == "off" {
		flags |= unix.MS_NOATIME
	}
	return unix.Mount("", mp, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
}

// remount brings the mount flags up to date after a property changed.
func (s *store) remount(d *Dataset) error {
	for _, mp := range s.mountsOf(d) {
		flags := uintptr(0)
		if d.prop("readonly") == "on" {
			flags |= unix.MS_RDONLY
		}
		if err := unix.Mount("", mp, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
			return err
		}
	}
	return nil
}

// unmount takes a filesystem away from wherever it is mounted.
func (s *store) unmount(d *Dataset, force bool) (path string, err error) {
	for _, mp := range s.mountsOf(d) {
		if s.faults().match("unmount", "busy", d.Name) != nil {
			return mp, syscall.EBUSY
		}
		flags := 0
		if force {
			flags = unix.MNT_DETACH
		}
		if err := unix.Unmount(mp, flags); err != nil {
			return mp, err
		}
		os.Remove(mp) // only if it is empty, as zfs does
	}
	return "", nil
}

func (s *store) faults() *faults { return loadFaults(s.root) }

func bareErrno(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// strerror is the C library's text for an error.
func strerror(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		t := no.Error()
		return strings.ToUpper(t[:1]) + t[1:]
	}
	return err.Error()
}

// tryMount mounts one filesystem and prints what prevents it; explicit is
// set when the user named it.
func (a *app) tryMount(d *Dataset, explicit bool) bool {
	what := fmt.Sprintf("cannot mount '%s'", d.Name)
	if d.Partial {
		if explicit {
			a.fail(what, `Contains partially-completed state from "zfs receive -s", which can be resumed with "zfs send -t"`)
		}
		return !explicit
	}
	if len(a.store.mountsOf(d)) > 0 {
		if explicit {
			a.fail(what, "filesystem already mounted")
			return false
		}
		return true
	}
	mp, _ := d.mountpoint()
	switch {
	case d.prop("canmount") == "off":
		if explicit {
			a.fail(what, "'canmount' property is set to 'off'")
		}
		return !explicit
	case mp == "none":
		if explicit {
			a.fail(what, "no mountpoint set")
		}
		return !explicit
	case mp == "legacy":
		if explicit {
			a.fail(what, "legacy mountpoint\nuse mount(8) to mount this filesystem")
		}
		return !explicit
	case d.prop("canmount") == "noauto" && !explicit:
		return true
	}
	if d.Crypt != nil && !a.store.keyLoaded(d) {
		if !explicit {
			what = fmt.Sprintf("cannot mount '%s'", mp)
		}
		a.fail(what, "encryption key not loaded")
		return false
	}
	if d.prop("overlay") == "off" {
		if files, err := os.ReadDir(mp); err == nil && len(files) > 0 {
			a.fail(fmt.Sprintf("cannot mount '%s'", mp), "directory is not empty")
			return false
		}
	}
	if err := a.store.mount(d, false); err != nil {
		if strings.HasPrefix(err.Error(), "failed to create mountpoint") {
			a.fail(fmt.Sprintf("cannot mount '%s'", mp), "failed to create mountpoint: "+strerror(errors.Unwrap(err)))
		} else {
			a.fail(what, strerror(err))
		}
		return false
	}
	return true
}

// mountTree mounts a filesystem and those below it that can be, parents first.
func (a *app) mountTree(d *Dataset) bool {
	ok := true
	for _, e := range d.below() {
		if e.Volume || !e.mountable() {
			continue
		}
		ok = a.tryMount(e, false) && ok
	}
	return ok
}

// unmountTree unmounts a filesystem and those below it, children first.
func (a *app) unmountTree(d *Dataset, force bool) ([]*Dataset, bool) {
	all := d.below()
	sort.Slice(all, func(i, j int) bool { return all[i].Name > all[j].Name })
	var done []*Dataset
	for _, e := range all {
		if len(a.store.mountsOf(e)) == 0 {
			continue
		}
		if path, err := a.store.unmount(e, force); err != nil {
			a.unmountFailed(path, err)
			for i := len(done) - 1; i >= 0; i-- {
				a.tryMount(done[i], true)
			}
			return nil, false
		}
		done = append(done, e)
	}
	return done, true
}

func (a *app) unmountFailed(path string, err error) {
	why := strerror(err)
	if errors.Is(err, syscall.EBUSY) {
		why = "pool or dataset is busy"
	}
	a.fail(fmt.Sprintf("cannot unmount '%s'", path), why)
}

func cmdMount(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "afo:lOvR")
	if !ok {
		return 2
	}
	all, load := false, false
	for _, o := range opts {
		switch o.flag {
		case 'a':
			all = true
		case 'l':
			load = true
		}
	}
	if !all && len(rest) == 0 {
		return a.printMounts()
	}
	if !a.begin(true) {
		return 1
	}
	if all {
		ok := true
		for _, name := range a.store.poolNames() {
			for _, d := range a.store.pools[name].sorted() {
				if !d.mountable() || d.Crypt != nil && !load && !a.store.keyLoaded(d) {
					continue
				}
				ok = a.tryMount(d, false) && ok
			}
		}
		if !a.commit() || !ok {
			return 1
		}
		return 0
	}
	if len(rest) > 1 {
		return a.usageError("too many arguments")
	}
	o, ok := a.open(rest[0], kindFilesystem)
	if !ok {
		return 1
	}
	if load && o.ds.Crypt != nil && !a.store.keyLoaded(o.ds) {
		if code := a.loadKey(a.store.encryptionRoot(o.ds), "", false); code != 0 {
			return code
		}
	}
	if a.faults.match("mount", "fail", o.ds.Name) != nil {
		return a.fail(fmt.Sprintf("cannot mount '%s'", o.ds.Name), "Input/output error")
	}
	if !a.tryMount(o.ds, true) {
		return 1
	}
	if !a.commit() {
		return 1
	}
	return 0
}

func (a *app) printMounts() int {
	if !a.begin(false) {
		return 1
	}
	table := mountTable()
	for _, name := range a.store.poolNames() {
		for _, d := range a.store.pools[name].sorted() {
			for _, mp := range table[d.ID] {
				fmt.Fprintf(a.out, "%-30s  %s\n", d.Name, mp)
			}
		}
	}
	return 0
}

func cmdUnmount(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "afu")
	if !ok {
		return 2
	}
	all, force := false, false
	for _, o := range opts {
		switch o.flag {
		case 'a':
			all = true
		case 'f':
			force = true
		}
	}
	if !a.begin(true) {
		return 1
	}
	if all {
		ok := true
		for _, name := range a.store.poolNames() {
			if root := a.store.pools[name].Datasets[name]; root != nil {
				_, done := a.unmountTree(root, force)
				ok = ok && done
			}
		}
		if !ok {
			return 1
		}
		return 0
	}
	switch {
	case len(rest) == 0:
		return a.usageError("missing filesystem argument")
	case len(rest) > 1:
		return a.usageError("too many arguments")
	}
	d := a.datasetAt(rest[0])
	if d == nil {
		o, ok := a.open(rest[0], kindFilesystem)
		if !ok {
			return 1
		}
		d = o.ds
	}
	if len(a.store.mountsOf(d)) == 0 {
		if mp, _ := d.mountpoint(); mp == "legacy" {
			return a.fail(fmt.Sprintf("cannot unmount '%s'", d.Name), "legacy mountpoint\nuse umount(8) to unmount this filesystem")
		}
		return a.fail(fmt.Sprintf("cannot unmount '%s'", d.Name), "not currently mounted")
	}
	if _, ok := a.unmountTree(d, force); !ok {
		return 1
	}
	return 0
}

// datasetAt finds the filesystem mounted at a path.
func (a *app) datasetAt(path string) *Dataset {
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	path = filepath.Clean(path)
	for id, paths := range mountTable() {
		for _, mp := range paths {
			if mp != path {
				continue
			}
			for _, p := range a.store.pools {
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
