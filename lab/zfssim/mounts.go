package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
)

func (s *store) mountsOf(d *Dataset) []string { return s.m.Mounts.Table()[d.ID] }

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
	return s.m.Mounts.Mount(s.liveDir(d), mp, mountOptions{readonly: readonly || d.prop("readonly") == "on", nodev: d.prop("devices") == "off",
		noexec: d.prop("exec") == "off", nosuid: d.prop("setuid") == "off", noatime: d.prop("atime") == "off"})
}

// remount brings the mount flags up to date after a property changed.
func (s *store) remount(d *Dataset) error {
	for _, mp := range s.mountsOf(d) {
		if err := s.m.Mounts.Remount(mp, d.prop("readonly") == "on"); err != nil {
			return err
		}
	}
	return nil
}

// unmount takes a filesystem away from wherever it is mounted.
func (s *store) unmount(d *Dataset, force bool) (path string, err error) {
	for _, mp := range s.mountsOf(d) {
		if s.faults.match("unmount", "busy", d.Name) != nil {
			return mp, syscall.EBUSY
		}
		if err := s.m.Mounts.Unmount(mp, force); err != nil {
			return mp, err
		}
	}
	return "", nil
}

// removeMountpoints takes away the empty folders at which filesystems were
// mounted, for those that go elsewhere or for good; a plain unmount leaves them.
func (s *store) removeMountpoints(all []*Dataset) {
	for _, d := range all {
		if mp, _ := d.mountpoint(); strings.HasPrefix(mp, "/") {
			s.m.Mounts.Forget(mp)
		}
	}
}

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
