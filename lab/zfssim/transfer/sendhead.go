package transfer

import (
	"bytes"
	"encoding/binary"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// Types of records in OpenZFS's format.
const (
	headBegin = 0
	headWrite = 3
	headEnd   = 5
)

// planHead sends a dataset itself, from its newest snapshot: in OpenZFS's
// format and without contents, for callers that check for differences alone.
func planHead(a *app.App, d *model.Dataset, from, what string) ([]*sendStep, int) {
	newest := d.Latest()
	if newest == nil || from != newest.Full() {
		return nil, a.Fail(what, "Invalid argument")
	}
	if a.Faults.Match("send", "busy", d.Name) != nil || len(a.Store.MountsOf(d)) > 0 {
		return nil, a.Fail(what, "target is busy; if a filesystem, it must not be mounted")
	}
	n, err := a.Store.Changed(d)
	if err != nil {
		return nil, a.Failf("zfssim: %v", err)
	}
	kinds := []uint32{headBegin, headEnd}
	if n > 0 {
		kinds = []uint32{headBegin, headWrite, headEnd}
	}
	return []*sendStep{{name: d.Name, fromRef: from, size: 624, head: kinds, release: func() {}}}, 0
}

// streamHead writes the records that planHead has planned.
func streamHead(a *app.App, kinds []uint32) int {
	var out bytes.Buffer
	for _, kind := range kinds {
		var record [312]byte
		binary.NativeEndian.PutUint32(record[:], kind)
		out.Write(record[:])
	}
	if _, err := out.WriteTo(a.Raw); err != nil {
		return a.Failf("zfssim: %v", err)
	}
	return 0
}
