package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// receiveBase says whether a partial receive builds on the snapshot.
func (s *store) receiveBase(sn *Snapshot) bool {
	d := sn.ds
	if d.Stage == "" || d.Partial || sn != d.latest() {
		return false
	}
	st, err := readStageHead(s.data(d.pool, "recv", d.Stage))
	return err == nil && (st.head.Resumable || s.receiving(d))
}

// sending says whether a live process is sending the snapshot.
func (s *store) sending(sn *Snapshot) bool {
	files, _ := filepath.Glob(s.data(sn.ds.pool, "send", fmt.Sprintf("%d.*", sn.Obj)))
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		free := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
		f.Close()
		if !free {
			return true
		}
		os.Remove(file)
	}
	return false
}

// markSending notes that this process sends the snapshot; the note dies with
// the process because it is a lock.
func (s *store) markSending(sn *Snapshot) (release func(), err error) {
	dir := s.data(sn.ds.pool, "send")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, fmt.Sprintf("%d.%s", sn.Obj, newID()))
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	return func() { os.Remove(file); f.Close() }, nil
}
