package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// ReceiveBase reports whether a partial receive builds on the snapshot.
func (s *Store) ReceiveBase(sn *model.Snapshot) bool {
	d := sn.DS
	if d.Stage == "" || d.Partial || sn != d.Latest() {
		return false
	}
	st, err := s.ReadStageHead(s.Data(d.Pool, "recv", d.Stage))
	return err == nil && (st.Head.Resumable || s.Receiving(d))
}

// Sending reports whether a live process is sending the snapshot.
func (s *Store) Sending(sn *model.Snapshot) bool {
	files, _ := s.M.Files.List(s.Data(sn.DS.Pool, "send"))
	for _, f := range files {
		if !strings.HasPrefix(filepath.Base(f.Path), fmt.Sprintf("%d.", sn.Obj)) {
			continue
		}
		lock, err := s.M.Files.Lock(f.Path, machine.LockMode{Exclusive: true, Try: true})
		if errors.Is(err, machine.ErrLocked) {
			return true
		}
		if err == nil {
			lock.Close()
			s.M.Files.Remove(f.Path)
		}
	}
	return false
}

// MarkSending notes that this process sends the snapshot; the note dies with
// the process because it is a lock.
func (s *Store) MarkSending(sn *model.Snapshot) (release func(), err error) {
	file := s.Data(sn.DS.Pool, "send", fmt.Sprintf("%d.%s", sn.Obj, s.NewID()))
	if err := s.M.Files.Append(file, nil); err != nil {
		return nil, err
	}
	lock, err := s.M.Files.Lock(file, machine.LockMode{Exclusive: true})
	if err != nil {
		return nil, err
	}
	return func() { s.M.Files.Remove(file); lock.Close() }, nil
}
