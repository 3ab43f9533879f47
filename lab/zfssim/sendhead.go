package main

import (
	"bytes"
	"encoding/binary"
)

// Types of records in OpenZFS's format.
const (
	headBegin = 0
	headWrite = 3
	headEnd   = 5
)

// planHead sends a dataset as it is, from its newest snapshot: in OpenZFS's format
// and without contents, for those who look whether anything differs.
func (a *app) planHead(d *Dataset, from, what string) ([]*sendStep, int) {
	newest := d.latest()
	if newest == nil || from != newest.full() {
		return nil, a.fail(what, "Invalid argument")
	}
	if a.faults.match("send", "busy", d.Name) != nil || len(a.store.mountsOf(d)) > 0 {
		return nil, a.fail(what, "target is busy; if a filesystem, it must not be mounted")
	}
	n, err := a.store.changed(d)
	if err != nil {
		return nil, a.failf("zfssim: %v", err)
	}
	kinds := []uint32{headBegin, headEnd}
	if n > 0 {
		kinds = []uint32{headBegin, headWrite, headEnd}
	}
	return []*sendStep{{name: d.Name, fromRef: from, size: 624, head: kinds, release: func() {}}}, 0
}

// streamHead writes the records that planHead has planned.
func (a *app) streamHead(kinds []uint32) int {
	var out bytes.Buffer
	for _, kind := range kinds {
		var record [312]byte
		binary.NativeEndian.PutUint32(record[:], kind)
		out.Write(record[:])
	}
	if _, err := out.WriteTo(a.raw); err != nil {
		return a.failf("zfssim: %v", err)
	}
	return 0
}

// claimed is what counts as written though nobody has written it.
func claimed(d *Dataset) uint64 {
	if newest := d.latest(); newest != nil && newest.GUID == d.Claimed {
		return 1024
	}
	return 0
}
