package host

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
)

// New returns this machine. zvols is the folder in which volumes appear.
func New(zvols string) *machine.Machine {
	return &machine.Machine{
		Files: files{}, Trees: trees{}, Mounts: mounts{zvols}, Now: time.Now, Random: rand.Reader,
		ReadFile: os.ReadFile, FileSize: files{}.Size,
		Kill: func() { syscall.Kill(os.Getpid(), syscall.SIGKILL) },
	}
}

// files keeps files on the disk. Nothing is synced: the store survives kills,
// not power cuts.
type files struct{}

func (files) Read(path string) ([]byte, error) { return os.ReadFile(path) }

func (files) Size(path string) (int64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Replace writes a file beside and renames it into place.
func (files) Replace(path string, data []byte) error {
	var id [8]byte
	rand.Read(id[:])
	tmp := path + "." + hex.EncodeToString(id[:]) + machine.Temporary
	err := os.WriteFile(tmp, data, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(tmp, data, 0o600)
		}
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, path)
}

func (files) Append(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		f, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (files) Truncate(path string, size int64) error { return os.Truncate(path, size) }

func (files) Move(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (files) Remove(path string) error { return os.RemoveAll(path) }

func (files) List(folder string) ([]machine.File, error) {
	var list []machine.File
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return nil
		}
		if err == nil {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				list = append(list, machine.File{Path: path, Size: info.Size()})
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return list, err
}

func (files) Lock(path string, mode machine.LockMode) (io.Closer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_SH
	if mode.Exclusive {
		how = syscall.LOCK_EX
	}
	if mode.Try {
		how |= syscall.LOCK_NB
	}
	for {
		if err = syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, machine.ErrLocked
		}
		return nil, err
	}
	return f, nil
}

// trees keeps live folders on the disk.
type trees struct{}

func (trees) Make(dir string) error { return os.MkdirAll(dir, 0o755) }

func (trees) Scan(dir string) (machine.Manifest, error) {
	var m machine.Manifest
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && path != dir {
				return nil // it went away while we looked
			}
			return err
		}
		e, err := statEntry(dir, path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		m = append(m, e)
		return nil
	})
	slices.SortFunc(m, func(a, b *machine.Entry) int { return strings.Compare(string(a.Path), string(b.Path)) })
	return m, err
}

func statEntry(dir, path string) (*machine.Entry, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
	e := &machine.Entry{Path: []byte(rel), Mode: st.Mode, UID: st.Uid, GID: st.Gid,
		MTime: st.Mtim.Nano(), Ino: st.Ino, CTime: st.Ctim.Nano()}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		e.Size, e.Held = st.Size, min(st.Size, st.Blocks*512)
	case syscall.S_IFLNK:
		t, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		e.Target = []byte(t)
	case syscall.S_IFCHR, syscall.S_IFBLK:
		e.Rdev = uint64(st.Rdev)
	}
	return e, nil
}

// settle is how long after a change a file's time stamp can still stand for
// two different contents: more than one tick of the kernel's clock.
const settle = 12 * time.Millisecond

// Settled scans until no file was changed so recently that a further change
// could hide behind the same time stamp.
func (t trees) Settled(dir string, known map[string]*machine.Entry) (machine.Manifest, error) {
	for try := 0; ; try++ {
		m, err := t.Scan(dir)
		if err != nil {
			return nil, err
		}
		limit := time.Now().Add(-settle).UnixNano()
		recent := false
		for _, e := range m {
			if e.CTime > limit {
				if k := known[string(e.Path)]; k != nil && k.Unchanged(e) {
					continue
				}
				recent = true
				if try > 0 {
					e.CTime = 0 // somebody keeps writing: never take it for unchanged
				}
			}
		}
		if !recent || try > 0 {
			return m, nil
		}
		time.Sleep(settle)
	}
}

func (trees) Open(dir, path string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(dir, path))
}

func (trees) Put(dir string, e *machine.Entry, chunk func(i int) ([]byte, error)) error {
	path := filepath.Join(dir, string(e.Path))
	var err error
	switch e.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		if err = os.Mkdir(path, 0o755); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	case syscall.S_IFLNK:
		os.Remove(path)
		err = os.Symlink(string(e.Target), path)
	case syscall.S_IFREG:
		err = putFile(path, e, chunk)
	case syscall.S_IFSOCK:
		return nil // it means nothing without its server
	default:
		os.Remove(path)
		err = syscall.Mknod(path, e.Mode, int(e.Rdev))
	}
	if err != nil {
		return err
	}
	if err := os.Lchown(path, int(e.UID), int(e.GID)); err != nil && os.Geteuid() == 0 {
		return err
	}
	if e.Mode&syscall.S_IFMT != syscall.S_IFLNK {
		return syscall.Chmod(path, e.Mode&0o7777)
	}
	return nil
}

func putFile(path string, e *machine.Entry, chunk func(i int) ([]byte, error)) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(e.Size); err != nil {
		return err
	}
	for i := range e.Chunks {
		data, err := chunk(i)
		if err != nil {
			return err
		}
		if data == nil {
			continue
		}
		if _, err := f.WriteAt(data, int64(i)*machine.ChunkSize); err != nil {
			return err
		}
	}
	return f.Close()
}

func (trees) Touch(dir string, e *machine.Entry) error {
	if e.Mode&syscall.S_IFMT == syscall.S_IFSOCK {
		return nil
	}
	ts := unix.NsecToTimespec(e.MTime)
	return unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, string(e.Path)), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

func (trees) Remove(dir, path string) error { return os.RemoveAll(filepath.Join(dir, path)) }

func (trees) Resize(dir, path string, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, path)
	if st, err := os.Stat(file); err == nil && st.Size() == size {
		return nil
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// mounts mounts by binding a live folder to the mount point. The kernel's
// table is the only record, so that a namespace that ends leaves nothing behind.
type mounts struct{ zvols string }

func (mounts) Table() map[string][]string {
	t := map[string][]string{}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return t
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(make([]byte, 64<<10), 1<<20)
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		if len(fields) < 5 {
			continue
		}
		root, ok := strings.CutSuffix(fields[3], "/live")
		if !ok {
			continue
		}
		id := filepath.Base(root)
		t[id] = append(t[id], unescapeMount(fields[4]))
	}
	return t
}

func unescapeMount(s string) string {
	for _, p := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, p[0], p[1])
	}
	return s
}

func (mounts) Mount(dir, at string, o machine.MountOptions) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return &machine.MountpointError{Cause: err}
	}
	if err := unix.Mount(dir, at, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	// Private, or mounting a child would show it inside the store as well.
	if err := unix.Mount("", at, "", unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	flags := uintptr(0)
	for _, f := range []struct {
		on   bool
		flag uintptr
	}{{o.Readonly, unix.MS_RDONLY}, {o.Nodev, unix.MS_NODEV}, {o.Noexec, unix.MS_NOEXEC}, {o.Nosuid, unix.MS_NOSUID}, {o.Noatime, unix.MS_NOATIME}} {
		if f.on {
			flags |= f.flag
		}
	}
	return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
}

func (mounts) Remount(at string, readonly bool) error {
	flags := uintptr(0)
	if readonly {
		flags |= unix.MS_RDONLY
	}
	return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
}

func (mounts) Unmount(at string, force bool) error {
	flags := 0
	if force {
		flags = unix.MNT_DETACH
	}
	return unix.Unmount(at, flags)
}

func (mounts) Empty(at string) bool {
	files, err := os.ReadDir(at)
	return err != nil || len(files) == 0
}

func (mounts) Forget(at string) { os.Remove(at) }

func (m mounts) Link(volume, dir, file string) error {
	target, link := filepath.Join(dir, file), filepath.Join(m.zvols, volume)
	if have, err := os.Readlink(link); err == nil && have == target {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return fmt.Errorf("make the folder of volume %s: %w", volume, err)
	}
	os.Remove(link)
	return os.Symlink(target, link)
}

func (m mounts) Unlink(volume string) error {
	link := filepath.Join(m.zvols, volume)
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for dir := filepath.Dir(link); len(dir) > len(m.zvols); dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break
		}
	}
	return nil
}
