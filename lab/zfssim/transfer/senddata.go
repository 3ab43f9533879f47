package transfer

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/stream"
)

// compare lists what differs between the base and the snapshot. Of a file
// with new contents only the chunks that differ go.
func (s *sendStep) compare() {
	s.size = 624
	base := s.base.ByPath()
	kept := map[string]bool{}
	for _, e := range s.to {
		old := base[string(e.Path)]
		kept[string(e.Path)] = true
		if old != nil && old.Same(e) {
			continue
		}
		bare := *e
		bare.Chunks = nil
		f := stream.FileRecord{Object: uint64(len(s.files) + 1), Entry: &bare, Chunks: len(e.Chunks)}
		for i, c := range e.Chunks {
			switch {
			case c == machine.Hole:
				f.Holes = addRange(f.Holes, i)
			case old != nil && i < len(old.Chunks) && old.Chunks[i] == c && machine.ChunkLen(e, i) == machine.ChunkLen(old, i):
				f.Keep = addRange(f.Keep, i)
			default:
				s.size += uint64(machine.ChunkLen(e, i)) + 312
			}
		}
		s.size += 312
		s.files = append(s.files, f)
	}
	for _, e := range s.base {
		if !kept[string(e.Path)] {
			s.removed = append(s.removed, e.Path)
			s.size += 312
		}
	}
}

func addRange(r [][2]int, i int) [][2]int {
	if n := len(r); n > 0 && r[n-1][1] == i {
		r[n-1][1]++
		return r
	}
	return append(r, [2]int{i, i + 1})
}

func inRange(r [][2]int, i int) bool {
	for _, x := range r {
		if i >= x[0] && i < x[1] {
			return true
		}
	}
	return false
}

// errDie ends the process as a kill would.
var errDie = errors.New("killed by a fault")

// dyingWriter passes n bytes on and fails then.
type dyingWriter struct {
	w    io.Writer
	left int64
}

func (d *dyingWriter) Write(b []byte) (int, error) {
	if int64(len(b)) > d.left {
		n, _ := d.w.Write(b[:d.left])
		d.left = 0
		return n, errDie
	}
	d.left -= int64(len(b))
	return d.w.Write(b)
}

// writeStream writes the planned streams to standard output.
func writeStream(a *app.App, steps []*sendStep, f sendFlags) int {
	last := steps[len(steps)-1]
	var out io.Writer = a.Raw
	if n := a.Faults.Bytes("send", "die-after", last.name); n >= 0 {
		out = &dyingWriter{out, n}
	}
	vanish := a.Faults.Match("send", "vanish", last.name)
	if vanish != nil {
		out = &dyingWriter{out, int64(last.size / 2)}
	}
	w := &stream.RecordWriter{W: bufio.NewWriterSize(out, 256<<10)}
	err := writeSteps(a, w, steps, f)
	if err == nil {
		err = w.W.Flush()
	}
	what := fmt.Sprintf("warning: cannot send '%s'", last.name)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errDie) && vanish != nil:
		destroyBehind(a, last.name)
		return a.Fail(what, "dataset does not exist")
	case errors.Is(err, errDie):
		a.Store.M.Kill()
		return 1
	default:
		a.Fail(what, app.Strerror(err))
	}
	if f.token != "" {
		return 255
	}
	return 1
}

// destroyBehind removes a snapshot behind the sender's back.
func destroyBehind(a *app.App, name string) {
	if !a.Begin(true) {
		return
	}
	if o, ok := a.Store.Find(name); ok && o.Snap != nil {
		o.Snap.Drop()
		a.Store.Touch(o.DS.Pool)
		a.Commit()
	}
}

func writeSteps(a *app.App, w *stream.RecordWriter, steps []*sendStep, f sendFlags) error {
	if _, err := w.W.WriteString(stream.StreamMagic); err != nil {
		return err
	}
	wrapped := f.all || f.props
	if wrapped {
		if err := w.WriteJSON(stream.RecPackage, stream.PackageRecord{ToName: steps[len(steps)-1].name, Many: len(steps) > 1}); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := s.write(w); err != nil {
			return err
		}
	}
	if wrapped {
		return w.Write(stream.RecClose, nil)
	}
	return nil
}

// write sends one snapshot, from the resume point on if there is one.
func (s *sendStep) write(w *stream.RecordWriter) error {
	if err := w.WriteJSON(stream.RecBegin, s.begin); err != nil {
		return err
	}
	if !s.begin.Resuming || s.begin.Object == 0 {
		for _, path := range s.removed {
			if err := w.Write(stream.RecRemove, path); err != nil {
				return err
			}
		}
	}
	entries := s.to.ByPath()
	for _, f := range s.files {
		if s.begin.Resuming && f.Object < s.begin.Object {
			continue
		}
		first := 0
		if s.begin.Resuming && f.Object == s.begin.Object {
			f.Offset = s.begin.Offset
			first = int(s.begin.Offset / machine.ChunkSize)
		}
		if err := w.WriteJSON(stream.RecFile, f); err != nil {
			return err
		}
		e := entries[string(f.Entry.Path)]
		for i := first; i < len(e.Chunks); i++ {
			if inRange(f.Keep, i) || inRange(f.Holes, i) {
				continue
			}
			if err := s.writeChunk(w, e, i); err != nil {
				return err
			}
		}
	}
	return w.Write(stream.RecEnd, nil)
}

func (s *sendStep) writeChunk(w *stream.RecordWriter, e *machine.Entry, i int) error {
	id := ""
	var data []byte
	var err error
	if s.begin.Raw {
		id = e.Chunks[i]
		data, err = s.chunks.GetRaw(id)
	} else {
		data, err = s.chunks.Get(e.Chunks[i], machine.ChunkLen(e, i))
	}
	if err != nil {
		return err
	}
	return w.Write(stream.RecData, stream.DataRecord(i, id, data))
}
