package images

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/report"
)

// reserve is what is left free, in bytes: a full disk stops more than images.
const reserve = 128 << 20

// freeBytes is what ordinary programs may still write to a folder's file
// system.
func freeBytes(folder string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return 0, fmt.Errorf("look for free space in %s: %w", folder, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// space hands out the disk's free bytes to images that are fetched at the same
// time.
type space struct {
	free   func(folder string) (int64, error)
	folder string

	mu    sync.Mutex
	taken int64
}

// SpaceError is an image for which there is no room.
type SpaceError struct {
	Ref        string
	Folder     string
	Need, Free int64
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("image %s needs about %s in %s, and %s are free", e.Ref, report.Bytes(e.Need), e.Folder, report.Bytes(e.Free))
}

// Hint says what to do next.
func (e *SpaceError) Hint() string {
	return "make room: 'docker system df' shows what takes it; image-sync removes its own superseded images only"
}

// take reserves bytes, and returns the function that releases them. A folder that can't
// be looked at is no reason to fetch nothing.
func (s *space) take(ref string, need int64) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if free, err := s.free(s.folder); err == nil && free-s.taken < need+reserve {
		return nil, &SpaceError{Ref: ref, Folder: s.folder, Need: need, Free: max(free-s.taken, 0)}
	}
	s.taken += need
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken -= need
	}), nil
}

// missingBytes reckons what an image takes beyond the one that is here under
// its name: by the number of layers that differ, as their sizes are not known.
func missingBytes(wanted, here docker.Image) int64 {
	if len(wanted.Layers) == 0 {
		return wanted.Size
	}
	same := 0
	for same < min(len(wanted.Layers), len(here.Layers)) && wanted.Layers[same] == here.Layers[same] {
		same++
	}
	return wanted.Size / int64(len(wanted.Layers)) * int64(len(wanted.Layers)-same)
}
