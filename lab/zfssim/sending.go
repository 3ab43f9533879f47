package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// receiveBase says whether a partial receive builds on the snapshot.
func (s *store) receiveBase(sn *Snapshot) bool {
	d := sn.ds
	if d.Stage == "" || d.Partial || sn != d.latest() {
		return false
	}
	st, err := s.readStageHead(s.data(d.pool, "recv", d.Stage))
	return err == nil && (st.head.Resumable || s.receiving(d))
}

// sending reports whether a live process is sending the snapshot.
func (s *store) sending(sn *Snapshot) bool {
	files, _ := s.m.Files.List(s.data(sn.ds.pool, "send"))
	for _, f := range files {
		if !strings.HasPrefix(filepath.Base(f.Path), fmt.Sprintf("%d.", sn.Obj)) {
			continue
		}
		lock, err := s.m.Files.Lock(f.Path, LockMode{Exclusive: true, Try: true})
		if errors.Is(err, ErrLocked) {
			return true
		}
		if err == nil {
			lock.Close()
			s.m.Files.Remove(f.Path)
		}
	}
	return false
}

// markSending notes that this process sends the snapshot; the note dies with
// the process because it is a lock.
func (s *store) markSending(sn *Snapshot) (release func(), err error) {
	file := s.data(sn.ds.pool, "send", fmt.Sprintf("%d.%s", sn.Obj, s.newID()))
	if err := s.m.Files.Append(file, nil); err != nil {
		return nil, err
	}
	lock, err := s.m.Files.Lock(file, LockMode{Exclusive: true})
	if err != nil {
		return nil, err
	}
	return func() { s.m.Files.Remove(file); lock.Close() }, nil
}
