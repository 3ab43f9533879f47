package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	}
	return "", nil
}

// removeMountpoints takes away the empty folders at which filesystems were
// mounted, for those that go elsewhere or for good; a plain unmount leaves them.
func removeMountpoints(all []*Dataset) {
	for _, d := range all {
		if mp, _ := d.mountpoint(); strings.HasPrefix(mp, "/") {
			os.Remove(mp)
		}
	}
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
