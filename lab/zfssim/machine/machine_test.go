package machine_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab/zfssim/host"
	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/memory"
)

// onEach runs a test on each kind of machine, with a folder to use.
func onEach(t *testing.T, test func(t *testing.T, m *machine.Machine, dir string)) {
	t.Run("host", func(t *testing.T) { test(t, host.New(t.TempDir()), t.TempDir()) })
	t.Run("memory", func(t *testing.T) {
		test(t, memory.New(time.Now, bytes.NewReader(make([]byte, 1<<10))).Machine(), "/somewhere")
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	onEach(t, func(t *testing.T, m *machine.Machine, dir string) {
		f := m.Files
		one, two := filepath.Join(dir, "a", "one"), filepath.Join(dir, "a", "b", "two")
		if _, err := f.Read(one); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read a missing file: %v", err)
		}
		if _, err := f.Size(one); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("size of a missing file: %v", err)
		}
		if list, err := f.List(dir + "/nowhere"); err != nil || len(list) != 0 {
			t.Errorf("a missing folder has %v, %v", list, err)
		}
		must(t, f.Replace(one, []byte("first")))
		must(t, f.Replace(one, []byte("second")))
		must(t, f.Append(two, []byte("12")))
		must(t, f.Append(two, []byte("345")))
		must(t, f.Truncate(two, 4))
		if data, err := f.Read(two); err != nil || string(data) != "1234" {
			t.Errorf("%q, %v", data, err)
		}
		list, err := f.List(dir)
		if want := []machine.File{{Path: two, Size: 4}, {Path: one, Size: 6}}; err != nil || !slices.Equal(list, want) {
			t.Errorf("%v, %v; want %v", list, err, want)
		}
		three := filepath.Join(dir, "c", "three")
		must(t, f.Move(two, three))
		if size, err := f.Size(three); err != nil || size != 4 {
			t.Errorf("size %d, %v", size, err)
		}
		must(t, f.Remove(filepath.Join(dir, "a")))
		must(t, f.Remove(filepath.Join(dir, "a")))
		if list, err := f.List(dir); err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

func TestLocks(t *testing.T) {
	onEach(t, func(t *testing.T, m *machine.Machine, dir string) {
		path := filepath.Join(dir, "lock")
		try := func(exclusive bool) (io.Closer, error) {
			return m.Files.Lock(path, machine.LockMode{Exclusive: exclusive, Try: true})
		}
		if _, err := try(true); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("lock a missing file: %v", err)
		}
		must(t, m.Files.Append(path, nil))
		first, err := try(false)
		must(t, err)
		second, err := try(false)
		must(t, err)
		if _, err := try(true); !errors.Is(err, machine.ErrLocked) {
			t.Errorf("a second lock: %v", err)
		}
		taken := make(chan error, 1)
		go func() {
			lock, err := m.Files.Lock(path, machine.LockMode{Exclusive: true})
			if err == nil {
				defer lock.Close()
			}
			taken <- err
		}()
		must(t, first.Close())
		select {
		case <-taken:
			t.Error("the lock is exclusive while it is shared")
		case <-time.After(50 * time.Millisecond):
		}
		must(t, second.Close())
		must(t, <-taken)
		if lock, err := try(true); err != nil {
			t.Errorf("a freed lock: %v", err)
		} else {
			lock.Close()
		}
	})
}

func TestTrees(t *testing.T) {
	onEach(t, func(t *testing.T, m *machine.Machine, dir string) {
		live := filepath.Join(dir, "ds", "1", "live")
		must(t, m.Trees.Make(live))
		root, err := m.Trees.Scan(live)
		if err != nil || len(root) != 1 {
			t.Fatalf("an empty tree: %v, %v", root, err)
		}
		owner := *root[0]
		put := func(path string, mode uint32, chunks ...string) {
			t.Helper()
			e := &machine.Entry{Path: []byte(path), Mode: mode, UID: owner.UID, GID: owner.GID, MTime: 1e18, Chunks: chunks, Target: []byte("one")}
			if e.Regular() {
				e.Size = int64(max(len(chunks)-1, 0))*machine.ChunkSize + 3
			}
			must(t, m.Trees.Put(live, e, func(i int) ([]byte, error) {
				if chunks[i] == machine.Hole {
					return nil, nil
				}
				return bytes.Repeat([]byte(chunks[i]), machine.ChunkLen(e, i)), nil
			}))
			must(t, m.Trees.Touch(live, e))
		}
		put("one", syscall.S_IFREG|0o640, machine.Hole, "y")
		put("folder", syscall.S_IFDIR|0o750)
		put("folder/two", syscall.S_IFREG|0o600, "x")
		put("link", syscall.S_IFLNK|0o777)
		scan, err := m.Trees.Scan(live)
		must(t, err)
		names := ""
		for _, e := range scan {
			names += string(e.Path) + " "
		}
		if names != " folder folder/two link one " {
			t.Fatalf("%q", names)
		}
		one, link := scan[4], scan[3]
		if one.Size != machine.ChunkSize+3 || one.Mode != syscall.S_IFREG|0o640 || one.MTime != 1e18 || string(link.Target) != "one" {
			t.Errorf("%+v, %+v", one, link)
		}
		f, err := m.Trees.Open(live, "one")
		must(t, err)
		data, err := io.ReadAll(f)
		f.Close()
		if err != nil || !bytes.Equal(data, append(make([]byte, machine.ChunkSize), "yyy"...)) {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		settled, err := m.Trees.Settled(live, nil)
		must(t, err)
		if !settled[4].Unchanged(one) || !one.Same(one) {
			t.Errorf("it changed by itself: %+v, %+v", settled[4], one)
		}
		put("one", syscall.S_IFREG|0o640, "z", "z")
		again, err := m.Trees.Settled(live, nil)
		must(t, err)
		if again[4].Unchanged(one) {
			t.Error("a file with new contents is taken for unchanged")
		}
		must(t, m.Trees.Remove(live, "folder"))
		if scan, err := m.Trees.Scan(live); err != nil || len(scan) != 3 {
			t.Errorf("%d entries, %v", len(scan), err)
		}
		must(t, m.Trees.Resize(live, "data", 8<<20))
		must(t, m.Trees.Resize(live, "data", 8<<20))
		scan, err = m.Trees.Scan(live)
		must(t, err)
		if e := scan[1]; string(e.Path) != "data" || e.Size != 8<<20 || e.Held != 0 {
			t.Errorf("%+v", e)
		}
	})
}
