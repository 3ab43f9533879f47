package model

import (
	"path/filepath"
	"strings"
)

// Mountpoint is the path at which a filesystem belongs, or none or legacy.
func (d *Dataset) Mountpoint() (string, Source) {
	v, src, _ := d.Lookup(Settable(), "mountpoint")
	return d.mountpointFrom(v, src), src
}

func (d *Dataset) mountpointFrom(v string, src Source) string {
	if !strings.HasPrefix(v, "/") {
		return v
	}
	rel := ""
	switch src.Kind {
	case "inherited":
		rel = strings.TrimPrefix(d.Name, src.From)
	case "default":
		rel = "/" + d.Name
	}
	return filepath.Clean("/" + d.Pool.Altroot + v + rel)
}

// Mountable reports whether mount -a and the like mount the filesystem.
func (d *Dataset) Mountable() bool {
	mp, _ := d.Mountpoint()
	return !d.Volume && strings.HasPrefix(mp, "/") && d.Prop("canmount") == "on" && !d.Partial
}
