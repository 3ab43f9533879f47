package memory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
)

// Memory is a machine without files and mounts. Runs in one process share it as
// processes share a real machine. A lock is waited for at a channel, so that the
// wait is durable in the sense of package testing/synctest.
type Memory struct {
	mu      sync.Mutex
	now     func() time.Time
	random  io.Reader
	files   map[string][]byte
	trees   map[string]map[string]*file // live folder → path in it
	stamp   int64                       // rises with each change of a tree
	mounts  map[string]mountPoint       // by mount point
	devices map[string]mountPoint       // by name of the volume
	locks   map[string]*lock
}

type file struct {
	entry machine.Entry
	data  []byte
}

type mountPoint struct {
	dir, file string
	options   machine.MountOptions
}

// New returns an empty machine with that clock and source of random bytes.
func New(now func() time.Time, random io.Reader) *Memory {
	m := &Memory{now: now, random: random, files: map[string][]byte{}, trees: map[string]map[string]*file{}}
	m.Restart()
	return m
}

// Restart forgets what a boot forgets: mounts, devices, locks. The programs that
// ran on the machine must have ended.
func (m *Memory) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mounts, m.devices, m.locks = map[string]mountPoint{}, map[string]mountPoint{}, map[string]*lock{}
	for path := range m.files {
		if filepath.Base(filepath.Dir(path)) == "keys" {
			delete(m.files, path)
		}
	}
}

// Machine returns what a run needs. A fault that kills the process panics with
// machine.Killed.
func (m *Memory) Machine() *machine.Machine {
	return &machine.Machine{
		Files: files{m}, Trees: trees{m}, Mounts: mounts{m}, Now: m.now, Random: m.random,
		ReadFile: m.ReadFile, FileSize: func(path string) (int64, error) { return files{m}.Size(path) },
		Kill: func() { panic(machine.Killed{}) },
	}
}

// lookup returns the tree and the path in it that a path of the machine leads to.
func (m *Memory) lookup(path string) (at mountPoint, rel string, ok bool) {
	best := ""
	for mp := range m.mounts {
		if (path == mp || strings.HasPrefix(path, strings.TrimSuffix(mp, "/")+"/")) && len(mp) > len(best) {
			best = mp
		}
	}
	if best == "" {
		return at, "", false
	}
	return m.mounts[best], strings.Trim(strings.TrimPrefix(path, best), "/"), true
}

// WriteFile writes a file of the machine: below a mount point into the dataset
// mounted there, with the folders that it needs.
func (m *Memory) WriteFile(path string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, rel, ok := m.lookup(filepath.Clean(path))
	if !ok {
		m.files[filepath.Clean(path)] = bytes.Clone(data)
		return nil
	}
	if at.options.Readonly {
		return &fs.PathError{Op: "open", Path: path, Err: syscall.EROFS}
	}
	for i, c := range rel {
		if c == '/' {
			m.put(at.dir, &machine.Entry{Path: []byte(rel[:i]), Mode: syscall.S_IFDIR | 0o755}, nil, false)
		}
	}
	m.put(at.dir, &machine.Entry{Path: []byte(rel), Mode: syscall.S_IFREG | 0o644}, data, true)
	return nil
}

// ReadFile reads a file of the machine.
func (m *Memory) ReadFile(path string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, rel, ok := m.lookup(filepath.Clean(path))
	if !ok {
		return m.read(filepath.Clean(path))
	}
	f := m.trees[at.dir][rel]
	if f == nil || !f.entry.Regular() {
		return nil, missing("open", path)
	}
	return bytes.Clone(f.data), nil
}

// Mounted returns the mount points and whether each is read-only.
func (m *Memory) Mounted() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]bool{}
	for at, mount := range m.mounts {
		all[at] = mount.options.Readonly
	}
	return all
}

func (m *Memory) read(path string) ([]byte, error) {
	data, ok := m.files[path]
	if !ok {
		return nil, missing("open", path)
	}
	return bytes.Clone(data), nil
}

func missing(op, path string) error { return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist} }

// put makes or replaces a file of a tree; an existing folder stays unchanged
// unless replace is set.
func (m *Memory) put(dir string, e *machine.Entry, data []byte, replace bool) {
	tree := m.trees[dir]
	if tree == nil {
		tree = map[string]*file{}
		m.trees[dir] = tree
	}
	m.stamp++
	f := tree[string(e.Path)]
	switch {
	case f != nil && !replace:
		return
	case f == nil:
		f = &file{}
		tree[string(e.Path)] = f
		f.entry.Ino = uint64(m.stamp)
	}
	ino := f.entry.Ino
	f.entry, f.data = *e, bytes.Clone(data)
	f.entry.Ino, f.entry.CTime, f.entry.Chunks = ino, m.stamp, nil
	if e.MTime == 0 {
		f.entry.MTime = m.now().UnixNano()
	}
	if e.Regular() {
		f.entry.Size, f.entry.Held = int64(len(data)), int64(len(data))
	}
}

// files are the store's files.
type files struct{ m *Memory }

func (f files) Read(path string) ([]byte, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.m.read(path)
}

func (f files) Size(path string) (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	data, ok := f.m.files[path]
	if !ok {
		return 0, missing("stat", path)
	}
	return int64(len(data)), nil
}

func (f files) Replace(path string, data []byte) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.files[path] = bytes.Clone(data)
	return nil
}

func (f files) Append(path string, data []byte) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.files[path] = append(f.m.files[path], data...)
	return nil
}

func (f files) Truncate(path string, size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	data, err := f.m.read(path)
	if err != nil {
		return err
	}
	f.m.files[path] = append(data, make([]byte, max(0, size-int64(len(data))))...)[:size]
	return nil
}

func (f files) Move(from, to string) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	data, err := f.m.read(from)
	if err != nil {
		return err
	}
	delete(f.m.files, from)
	f.m.files[to] = data
	return nil
}

func (f files) Remove(path string) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	delete(f.m.files, path)
	maps.DeleteFunc(f.m.files, func(name string, _ []byte) bool { return strings.HasPrefix(name, path+"/") })
	return nil
}

func (f files) List(folder string) ([]machine.File, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	var list []machine.File
	for path, data := range f.m.files {
		if strings.HasPrefix(path, folder+"/") {
			list = append(list, machine.File{Path: path, Size: int64(len(data))})
		}
	}
	slices.SortFunc(list, func(a, b machine.File) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// lock is a lock of a file that somebody has.
type lock struct {
	m         *Memory
	path      string
	exclusive bool
	holders   int
	freed     chan struct{} // closed when nobody has it
}

func (f files) Lock(path string, mode machine.LockMode) (io.Closer, error) {
	for {
		f.m.mu.Lock()
		if _, ok := f.m.files[path]; !ok {
			f.m.mu.Unlock()
			return nil, missing("open", path)
		}
		l := f.m.locks[path]
		if l == nil {
			l = &lock{m: f.m, path: path, exclusive: mode.Exclusive, freed: make(chan struct{})}
			f.m.locks[path] = l
		} else if l.exclusive || mode.Exclusive {
			f.m.mu.Unlock()
			if mode.Try {
				return nil, machine.ErrLocked
			}
			<-l.freed
			continue
		}
		l.holders++
		f.m.mu.Unlock()
		return &holder{lock: l}, nil
	}
}

// holder is one holder of a lock.
type holder struct {
	lock *lock
	once sync.Once
}

func (h *holder) Close() error {
	h.once.Do(func() {
		l := h.lock
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		if l.holders--; l.holders == 0 {
			if l.m.locks[l.path] == l {
				delete(l.m.locks, l.path)
			}
			close(l.freed)
		}
	})
	return nil
}

// trees are the live folders.
type trees struct{ m *Memory }

func (t trees) Make(dir string) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.put(dir, &machine.Entry{Mode: syscall.S_IFDIR | 0o755}, nil, false)
	return nil
}

func (t trees) Scan(dir string) (machine.Manifest, error) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	tree := t.m.trees[dir]
	if tree == nil {
		return nil, missing("lstat", dir)
	}
	var list machine.Manifest
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		e := tree[path].entry
		list = append(list, &e)
	}
	return list, nil
}

// Settled is Scan: each change has a stamp of its own.
func (t trees) Settled(dir string, _ map[string]*machine.Entry) (machine.Manifest, error) {
	return t.Scan(dir)
}

func (t trees) Open(dir, path string) (io.ReadCloser, error) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	f := t.m.trees[dir][path]
	if f == nil {
		return nil, missing("open", filepath.Join(dir, path))
	}
	return io.NopCloser(bytes.NewReader(bytes.Clone(f.data))), nil
}

func (t trees) Put(dir string, e *machine.Entry, chunk func(i int) ([]byte, error)) error {
	var data []byte
	if e.Regular() {
		data = make([]byte, e.Size)
		for i := range e.Chunks {
			part, err := chunk(i)
			if err != nil {
				return err
			}
			copy(data[int64(i)*machine.ChunkSize:], part)
		}
	}
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.put(dir, e, data, true)
	return nil
}

func (t trees) Touch(dir string, e *machine.Entry) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	f := t.m.trees[dir][string(e.Path)]
	if f == nil {
		return missing("utimes", filepath.Join(dir, string(e.Path)))
	}
	t.m.stamp++
	f.entry.MTime, f.entry.CTime = e.MTime, t.m.stamp
	return nil
}

func (t trees) Remove(dir, path string) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	if path == "" {
		delete(t.m.trees, dir)
		return nil
	}
	maps.DeleteFunc(t.m.trees[dir], func(name string, _ *file) bool {
		return name == path || strings.HasPrefix(name, path+"/")
	})
	return nil
}

func (t trees) Resize(dir, path string, size int64) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.put(dir, &machine.Entry{Mode: syscall.S_IFDIR | 0o755}, nil, false)
	var old []byte
	held := int64(0)
	if f := t.m.trees[dir][path]; f != nil {
		if f.entry.Size == size {
			return nil
		}
		old, held = f.data, min(f.entry.Held, size)
	}
	data := make([]byte, size)
	copy(data, old)
	t.m.put(dir, &machine.Entry{Path: []byte(path), Mode: syscall.S_IFREG | 0o600}, data, true)
	t.m.trees[dir][path].entry.Held = held // what is new is a hole
	return nil
}

// mounts are the machine's mounts and devices.
type mounts struct{ m *Memory }

func (x mounts) Table() map[string][]string {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	t := map[string][]string{}
	for _, at := range slices.Sorted(maps.Keys(x.m.mounts)) {
		id := filepath.Base(filepath.Dir(x.m.mounts[at].dir))
		t[id] = append(t[id], at)
	}
	return t
}

func (x mounts) Mount(dir, at string, o machine.MountOptions) error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	if _, taken := x.m.mounts[at]; taken {
		return syscall.EBUSY
	}
	x.m.mounts[at] = mountPoint{dir: dir, options: o}
	return nil
}

func (x mounts) Remount(at string, readonly bool) error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	mount, ok := x.m.mounts[at]
	if !ok {
		return syscall.EINVAL
	}
	mount.options.Readonly = readonly
	x.m.mounts[at] = mount
	return nil
}

func (x mounts) Unmount(at string, force bool) error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	if _, ok := x.m.mounts[at]; !ok {
		return syscall.EINVAL
	}
	for other := range x.m.mounts {
		if !force && strings.HasPrefix(other, strings.TrimSuffix(at, "/")+"/") {
			return syscall.EBUSY
		}
	}
	delete(x.m.mounts, at)
	return nil
}

// Empty reports whether no file of the machine and no mount lies there.
func (x mounts) Empty(at string) bool {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	below := strings.TrimSuffix(at, "/") + "/"
	for path := range x.m.files {
		if strings.HasPrefix(path, below) {
			return false
		}
	}
	for path := range x.m.mounts {
		if strings.HasPrefix(path, below) {
			return false
		}
	}
	return true
}

// Forget does nothing: folders exist only while files are in them.
func (mounts) Forget(string) {}

func (x mounts) Link(volume, dir, file string) error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	x.m.devices[volume] = mountPoint{dir: dir, file: file}
	return nil
}

func (x mounts) Unlink(volume string) error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	delete(x.m.devices, volume)
	return nil
}

// WriteVolume writes to a volume's device.
func (m *Memory) WriteVolume(volume string, data []byte, offset int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	device, ok := m.devices[volume]
	if !ok {
		return fmt.Errorf("volume %s: %w", volume, fs.ErrNotExist)
	}
	f := m.trees[device.dir][device.file]
	if f == nil || offset+int64(len(data)) > f.entry.Size {
		return errors.Join(fmt.Errorf("write to volume %s", volume), syscall.ENOSPC)
	}
	m.stamp++
	copy(f.data[offset:], data)
	f.entry.Held = min(f.entry.Held+int64(len(data)), f.entry.Size)
	f.entry.MTime, f.entry.CTime = m.now().UnixNano(), m.stamp
	return nil
}
