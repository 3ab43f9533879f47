package store

import (
	"strings"
	"syscall"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func (s *Store) MountsOf(d *model.Dataset) []string { return s.M.Mounts.Table()[d.ID] }

// Mount mounts a filesystem at its place. The caller has checked that it may.
func (s *Store) Mount(d *model.Dataset, readonly bool) error {
	mp, _ := d.Mountpoint()
	if !d.Live {
		if err := s.materialise(d); err != nil {
			return err
		}
		d.Live = true
		s.Touch(d.Pool)
	}
	return s.M.Mounts.Mount(s.LiveDir(d), mp, machine.MountOptions{Readonly: readonly || d.Prop("readonly") == "on", Nodev: d.Prop("devices") == "off",
		Noexec: d.Prop("exec") == "off", Nosuid: d.Prop("setuid") == "off", Noatime: d.Prop("atime") == "off"})
}

// Remount brings the mount flags up to date after a property changed.
func (s *Store) Remount(d *model.Dataset) error {
	for _, mp := range s.MountsOf(d) {
		if err := s.M.Mounts.Remount(mp, d.Prop("readonly") == "on"); err != nil {
			return err
		}
	}
	return nil
}

// Unmount takes a filesystem away from wherever it is mounted.
func (s *Store) Unmount(d *model.Dataset, force bool) (path string, err error) {
	for _, mp := range s.MountsOf(d) {
		if s.faults.Match("unmount", "busy", d.Name) != nil {
			return mp, syscall.EBUSY
		}
		if err := s.M.Mounts.Unmount(mp, force); err != nil {
			return mp, err
		}
	}
	return "", nil
}

// RemoveMountpoints takes away the empty folders at which filesystems were
// mounted, for those that go elsewhere or for good; a plain unmount leaves them.
func (s *Store) RemoveMountpoints(all []*model.Dataset) {
	for _, d := range all {
		if mp, _ := d.Mountpoint(); strings.HasPrefix(mp, "/") {
			s.M.Mounts.Forget(mp)
		}
	}
}
