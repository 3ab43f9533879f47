package main

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
)

// Memory is a machine without files and mounts: several runs at once in one
// process share it as processes share a real machine. Waiting for a lock is
// waiting for a channel, so that it is durable in package synctest's sense.
type Memory struct {
	mu      sync.Mutex
	now     func() time.Time
	random  io.Reader
	files   map[string][]byte
	trees   map[string]map[string]*memoryFile // live folder → path in it
	stamp   int64                             // rises with each change of a tree
	mounts  map[string]memoryMount            // by mount point
	devices map[string]memoryMount            // by name of the volume
	locks   map[string]*memoryLock
}

type memoryFile struct {
	entry entry
	data  []byte
}

type memoryMount struct {
	dir, file string
	options   mountOptions
}

// NewMemory returns an empty machine with that clock and source of random bytes.
func NewMemory(now func() time.Time, random io.Reader) *Memory {
	m := &Memory{now: now, random: random, files: map[string][]byte{}, trees: map[string]map[string]*memoryFile{}}
	m.Restart()
	return m
}

// Restart forgets what a boot forgets: mounts, devices, locks. The programs that
// ran on the machine must have ended.
func (m *Memory) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mounts, m.devices, m.locks = map[string]memoryMount{}, map[string]memoryMount{}, map[string]*memoryLock{}
	for path := range m.files {
		if filepath.Base(filepath.Dir(path)) == "keys" {
			delete(m.files, path)
		}
	}
}

// Machine returns what Run needs. A fault that kills the process panics with
// Killed, which the caller of Run recovers.
func (m *Memory) Machine() *Machine {
	return &Machine{
		Files: memoryFiles{m}, Trees: memoryTrees{m}, Mounts: memoryMounts{m}, Now: m.now, Random: m.random,
		ReadFile: m.ReadFile, FileSize: func(path string) (int64, error) { return memoryFiles{m}.Size(path) },
		Kill: func() { panic(Killed{}) },
	}
}

// Killed is the panic that stands for SIGKILL.
type Killed struct{}

// find returns the tree and the path in it that a path of the machine leads to.
func (m *Memory) find(path string) (at memoryMount, rel string, ok bool) {
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
	at, rel, ok := m.find(filepath.Clean(path))
	if !ok {
		m.files[filepath.Clean(path)] = bytes.Clone(data)
		return nil
	}
	if at.options.readonly {
		return &fs.PathError{Op: "open", Path: path, Err: syscall.EROFS}
	}
	for i, c := range rel {
		if c == '/' {
			m.put(at.dir, &entry{Path: []byte(rel[:i]), Mode: syscall.S_IFDIR | 0o755}, nil, false)
		}
	}
	m.put(at.dir, &entry{Path: []byte(rel), Mode: syscall.S_IFREG | 0o644}, data, true)
	return nil
}

// ReadFile reads a file of the machine.
func (m *Memory) ReadFile(path string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, rel, ok := m.find(filepath.Clean(path))
	if !ok {
		return m.read(filepath.Clean(path))
	}
	f := m.trees[at.dir][rel]
	if f == nil || !f.entry.regular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return bytes.Clone(f.data), nil
}

// Mounted returns the mount points and whether each is read-only.
func (m *Memory) Mounted() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]bool{}
	for at, mount := range m.mounts {
		all[at] = mount.options.readonly
	}
	return all
}

func (m *Memory) read(path string) ([]byte, error) {
	data, ok := m.files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return bytes.Clone(data), nil
}

// put makes or replaces a file of a tree; a folder that is there stays as it is
// unless replace is set.
func (m *Memory) put(dir string, e *entry, data []byte, replace bool) {
	tree := m.trees[dir]
	if tree == nil {
		tree = map[string]*memoryFile{}
		m.trees[dir] = tree
	}
	m.stamp++
	f := tree[string(e.Path)]
	switch {
	case f != nil && !replace:
		return
	case f == nil:
		f = &memoryFile{}
		tree[string(e.Path)] = f
		f.entry.Ino = uint64(m.stamp)
	}
	ino := f.entry.Ino
	f.entry, f.data = *e, bytes.Clone(data)
	f.entry.Ino, f.entry.CTime, f.entry.Chunks = ino, m.stamp, nil
	if e.MTime == 0 {
		f.entry.MTime = m.now().UnixNano()
	}
	if e.regular() {
		f.entry.Size, f.entry.Held = int64(len(data)), int64(len(data))
	}
}

// memoryFiles are the store's files.
type memoryFiles struct{ m *Memory }

func (f memoryFiles) Read(path string) ([]byte, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.m.read(path)
}

func (f memoryFiles) Size(path string) (int64, error) {
	data, err := f.Read(path)
	return int64(len(data)), err
}

func (f memoryFiles) Replace(path string, data []byte) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.files[path] = bytes.Clone(data)
	return nil
}

func (f memoryFiles) Append(path string, data []byte) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.files[path] = append(f.m.files[path], data...)
	return nil
}

func (f memoryFiles) Truncate(path string, size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	data, err := f.m.read(path)
	if err != nil {
		return err
	}
	f.m.files[path] = append(data, make([]byte, max(0, size-int64(len(data))))...)[:size]
	return nil
}

func (f memoryFiles) Move(from, to string) error {
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

func (f memoryFiles) Remove(path string) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	delete(f.m.files, path)
	maps.DeleteFunc(f.m.files, func(name string, _ []byte) bool { return strings.HasPrefix(name, path+"/") })
	return nil
}

func (f memoryFiles) List(folder string) ([]File, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	var list []File
	for path, data := range f.m.files {
		if strings.HasPrefix(path, folder+"/") {
			list = append(list, File{path, int64(len(data))})
		}
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// memoryLock is a lock of a file that somebody has.
type memoryLock struct {
	m         *Memory
	path      string
	exclusive bool
	holders   int
	freed     chan struct{} // closed when nobody has it
}

func (f memoryFiles) Lock(path string, mode LockMode) (io.Closer, error) {
	for {
		f.m.mu.Lock()
		if _, err := f.m.read(path); err != nil {
			f.m.mu.Unlock()
			return nil, err
		}
		l := f.m.locks[path]
		if l == nil {
			l = &memoryLock{m: f.m, path: path, exclusive: mode.Exclusive, freed: make(chan struct{})}
			f.m.locks[path] = l
		} else if l.exclusive || mode.Exclusive {
			f.m.mu.Unlock()
			if mode.Try {
				return nil, ErrLocked
			}
			<-l.freed
			continue
		}
		l.holders++
		f.m.mu.Unlock()
		return &memoryHolder{lock: l}, nil
	}
}

// memoryHolder is one holder of a lock.
type memoryHolder struct {
	lock *memoryLock
	once sync.Once
}

func (h *memoryHolder) Close() error {
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

// memoryTrees are the live folders.
type memoryTrees struct{ m *Memory }

func (t memoryTrees) Make(dir string) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.put(dir, &entry{Mode: syscall.S_IFDIR | 0o755}, nil, false)
	return nil
}

func (t memoryTrees) Scan(dir string) (manifest, error) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	tree := t.m.trees[dir]
	if tree == nil {
		return nil, &fs.PathError{Op: "lstat", Path: dir, Err: fs.ErrNotExist}
	}
	var list manifest
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		e := tree[path].entry
		list = append(list, &e)
	}
	return list, nil
}

// Settled is Scan: each change has a stamp of its own.
func (t memoryTrees) Settled(dir string, _ map[string]*entry) (manifest, error) { return t.Scan(dir) }

func (t memoryTrees) Open(dir, path string) (io.ReadCloser, error) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	f := t.m.trees[dir][path]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(dir, path), Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(bytes.Clone(f.data))), nil
}

func (t memoryTrees) Put(dir string, e *entry, chunk func(i int) ([]byte, error)) error {
	var data []byte
	if e.regular() {
		data = make([]byte, e.Size)
		for i := range e.Chunks {
			part, err := chunk(i)
			if err != nil {
				return err
			}
			copy(data[int64(i)*chunkSize:], part)
		}
	}
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.put(dir, e, data, true)
	return nil
}

func (t memoryTrees) Touch(dir string, e *entry) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	f := t.m.trees[dir][string(e.Path)]
	if f == nil {
		return &fs.PathError{Op: "utimes", Path: filepath.Join(dir, string(e.Path)), Err: fs.ErrNotExist}
	}
	t.m.stamp++
	f.entry.MTime, f.entry.CTime = e.MTime, t.m.stamp
	return nil
}

func (t memoryTrees) Remove(dir, path string) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	if path == "" {
		delete(t.m.trees, dir)
		return nil
	}
	maps.DeleteFunc(t.m.trees[dir], func(name string, _ *memoryFile) bool {
		return name == path || strings.HasPrefix(name, path+"/")
	})
	return nil
}

func (t memoryTrees) Resize(dir, path string, size int64) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.put(dir, &entry{Mode: syscall.S_IFDIR | 0o755}, nil, false)
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
	t.m.put(dir, &entry{Path: []byte(path), Mode: syscall.S_IFREG | 0o600}, data, true)
	t.m.trees[dir][path].entry.Held = held // what is new is a hole
	return nil
}

// memoryMounts are the machine's mounts and devices.
type memoryMounts struct{ m *Memory }

func (x memoryMounts) Table() map[string][]string {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	t := map[string][]string{}
	for _, at := range slices.Sorted(maps.Keys(x.m.mounts)) {
		id := filepath.Base(filepath.Dir(x.m.mounts[at].dir))
		t[id] = append(t[id], at)
	}
	return t
}

func (x memoryMounts) Mount(dir, at string, o mountOptions) error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	if _, taken := x.m.mounts[at]; taken {
		return syscall.EBUSY
	}
	x.m.mounts[at] = memoryMount{dir: dir, options: o}
	return nil
}

func (x memoryMounts) Remount(at string, readonly bool) error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	mount, ok := x.m.mounts[at]
	if !ok {
		return syscall.EINVAL
	}
	mount.options.readonly = readonly
	x.m.mounts[at] = mount
	return nil
}

func (x memoryMounts) Unmount(at string, force bool) error {
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
func (x memoryMounts) Empty(at string) bool {
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
func (memoryMounts) Forget(string) {}

func (x memoryMounts) Link(volume, dir, file string) error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	x.m.devices[volume] = memoryMount{dir: dir, file: file}
	return nil
}

func (x memoryMounts) Unlink(volume string) error {
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
