package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// volumeFile is the only file of a volume's live folder.
const volumeFile = "data"

// index reads what the live folder looked like when it was last saved; nil if
// that is not known, because a process was killed at the wrong moment.
func (s *store) index(d *Dataset) (manifest, error) {
	m, base, err := readManifestFile(s.data(d.pool, "ds", d.ID, "index"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && base != d.Base {
		return nil, nil
	}
	return m, err
}

func (s *store) saveIndex(d *Dataset, m manifest, base string) error {
	return writeManifest(s.data(d.pool, "ds", d.ID, "index"), m, base)
}

// changed returns how many bytes of a dataset differ from its newest snapshot;
// 0 says that nothing does.
func (s *store) changed(d *Dataset) (uint64, error) {
	saved, err := s.savedSince(d)
	if err != nil || !d.Live {
		return saved, err
	}
	live, err := s.changedLive(d)
	return saved + live, err
}

// savedSince compares the newest saved state with the newest snapshot; they
// differ when the snapshot that saved the state has been destroyed.
func (s *store) savedSince(d *Dataset) (uint64, error) {
	from := ""
	if l := d.latest(); l != nil {
		from = l.Manifest
	} else if o := d.pool.snapByObj(d.Origin); o != nil {
		from = o.Manifest
	}
	if from == d.Base {
		return 0, nil
	}
	old, err := s.manifest(d.pool, from)
	if err != nil {
		return 0, err
	}
	saved, err := s.manifest(d.pool, d.Base)
	if err != nil {
		return 0, err
	}
	before := old.byPath()
	n := uint64(0)
	for _, e := range saved {
		o := before[string(e.Path)]
		delete(before, string(e.Path))
		if o != nil && o.same(e) {
			continue
		}
		n += 512
		for i, c := range e.Chunks {
			if c != hole && (o == nil || i >= len(o.Chunks) || o.Chunks[i] != c) {
				n += uint64(chunkLen(e, i))
			}
		}
	}
	return n + 512*uint64(len(before)), nil
}

// changedLive compares the live folder with the newest saved state.
func (s *store) changedLive(d *Dataset) (uint64, error) {
	idx, err := s.index(d)
	if err != nil {
		return 0, err
	}
	known := idx.byPath()
	live, err := scan(s.liveDir(d))
	if err != nil {
		return 0, err
	}
	n, seen := uint64(0), 0
	for _, e := range live {
		k := known[string(e.Path)]
		if k != nil {
			seen++
			if k.unchanged(e) {
				continue
			}
		}
		if d.Base == "" && e.folder() && len(e.Path) == 0 || d.Volume && e.Held == 0 && k == nil {
			continue // an empty dataset counts for itself
		}
		n += 512 + uint64(e.Held)
	}
	if n == 0 && seen < len(known) {
		n = 512 // something was removed
	}
	return n, nil
}

// save stores the live folder's state and returns its manifest's id, what it
// refers to and how many bytes it added. The index is written by the function
// returned, to be called once the change is committed.
func (s *store) save(d *Dataset) (id string, refer, added uint64, indexed func() error, err error) {
	if !d.Live {
		m, err := s.manifest(d.pool, d.Base)
		return d.Base, m.size(), 0, func() error { return nil }, err
	}
	idx, err := s.index(d)
	if err != nil {
		return "", 0, 0, nil, err
	}
	known := idx.byPath()
	dir := s.liveDir(d)
	live, err := quiesced(dir, known)
	if err != nil {
		return "", 0, 0, nil, err
	}
	key, err := s.masterKey(d)
	if err != nil {
		// Without the key nothing can have been written but before it was
		// unloaded, and that would have to be encrypted now.
		if n, cerr := s.changedLive(d); cerr != nil || n > 0 && d.Base != "" {
			return "", 0, 0, nil, err
		}
		return d.Base, live.size(), 0, func() error { return nil }, nil
	}
	cs := s.chunks(d, key)
	fresh := idx == nil || len(live) != len(idx)
	kept := live[:0]
	for _, e := range live {
		k := known[string(e.Path)]
		if k != nil && k.unchanged(e) {
			e.Chunks = k.Chunks
			kept = append(kept, e)
			continue
		}
		fresh = true
		if e.regular() {
			ids, n, err := cs.store(filepath.Join(dir, string(e.Path)), e.Size)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return "", 0, 0, nil, fmt.Errorf("save %s: %w", d.Name, err)
			}
			e.Chunks, added = ids, added+n
		}
		kept = append(kept, e)
	}
	if !fresh && d.Base != "" {
		return d.Base, live.size(), 0, func() error { return nil }, nil
	}
	id, err = s.saveManifest(d.pool, kept)
	if err != nil {
		return "", 0, 0, nil, err
	}
	return id, kept.size(), added, func() error { return s.saveIndex(d, kept, id) }, nil
}

// materialise makes the live folder equal to the newest saved state, touching
// only what differs. The caller sets d.Live and commits.
func (s *store) materialise(d *Dataset) error {
	want, err := s.manifest(d.pool, d.Base)
	if err != nil {
		return err
	}
	dir := s.liveDir(d)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// What is there is trusted only as far as the old index vouches for it.
	idx, _, err := readManifestFile(s.data(d.pool, "ds", d.ID, "index"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	known := idx.byPath()
	live, err := scan(dir)
	if err != nil {
		return err
	}
	have, target := live.byPath(), want.byPath()
	for i := len(live) - 1; i >= 0; i-- { // folders after what is in them
		e := live[i]
		t := target[string(e.Path)]
		if len(e.Path) > 0 && (t == nil || t.Mode&syscall.S_IFMT != e.Mode&syscall.S_IFMT) {
			if err := os.RemoveAll(filepath.Join(dir, string(e.Path))); err != nil {
				return err
			}
			delete(have, string(e.Path))
		}
	}
	key, err := s.masterKey(d)
	if err != nil && d.Crypt != nil {
		return err
	}
	cs := s.chunks(d, key)
	for _, t := range want {
		h, k := have[string(t.Path)], known[string(t.Path)]
		if h != nil && k != nil && k.unchanged(h) && k.same(t) {
			continue
		}
		if err := cs.write(filepath.Join(dir, string(t.Path)), t); err != nil {
			return fmt.Errorf("restore %s of %s: %w", t.Path, d.Name, err)
		}
	}
	for i := len(want) - 1; i >= 0; i-- { // times last, inner folders first
		if err := setTimes(filepath.Join(dir, string(want[i].Path)), want[i]); err != nil {
			return err
		}
	}
	if len(want) == 0 {
		os.Chmod(dir, 0o755)
	}
	time.Sleep(settle)
	if live, err = scan(dir); err != nil {
		return err
	}
	for _, e := range live {
		if t := target[string(e.Path)]; t != nil {
			e.Chunks = t.Chunks
		}
	}
	return s.saveIndex(d, live, d.Base)
}

// write makes one file as the entry says.
func (c chunkStore) write(path string, e *entry) error {
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
		err = c.writeFile(path, e)
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

func (c chunkStore) writeFile(path string, e *entry) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(e.Size); err != nil {
		return err
	}
	for i, id := range e.Chunks {
		if id == hole {
			continue
		}
		off := int64(i) * chunkSize
		data, err := c.get(id, int(min(chunkSize, e.Size-off)))
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(data, off); err != nil {
			return err
		}
	}
	return f.Close()
}

func setTimes(path string, e *entry) error {
	if e.Mode&syscall.S_IFMT == syscall.S_IFSOCK {
		return nil
	}
	ts := unix.NsecToTimespec(e.MTime)
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// restore brings a dataset's live folder to its newest saved state if it is in
// use: mounted, or a volume, whose device is always there.
func (s *store) restore(d *Dataset) error {
	if d.Live || d.Partial {
		return nil
	}
	if d.Volume {
		if d.Crypt != nil && !s.keyLoaded(d) {
			return s.removeVolumeLink(d)
		}
	} else if len(s.mountsOf(d)) == 0 {
		return nil
	}
	if err := s.materialise(d); err != nil {
		return err
	}
	d.Live = true
	s.touch(d.pool)
	if d.Volume {
		return s.linkVolume(d)
	}
	return nil
}

// linkVolume shows the volume's file in the folder of volumes.
func (s *store) linkVolume(d *Dataset) error {
	if d.prop("volmode") == "none" {
		return s.removeVolumeLink(d)
	}
	file := filepath.Join(s.liveDir(d), volumeFile)
	if err := os.MkdirAll(s.liveDir(d), 0o755); err != nil {
		return err
	}
	size, err := strconv.ParseInt(d.prop("volsize"), 10, 64)
	if err != nil {
		return fmt.Errorf("size of volume %s: %w", d.Name, err)
	}
	if st, err := os.Stat(file); err != nil || st.Size() != size {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
			return err
		}
	}
	link := filepath.Join(s.zvols, d.Name)
	if have, err := os.Readlink(link); err == nil && have == file {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return fmt.Errorf("make the folder of volume %s: %w", d.Name, err)
	}
	os.Remove(link)
	return os.Symlink(file, link)
}

func (s *store) removeVolumeLink(d *Dataset) error { return s.removeLinkName(d.Name) }

func (s *store) removeLinkName(name string) error {
	link := filepath.Join(s.zvols, name)
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for dir := filepath.Dir(link); len(dir) > len(s.zvols); dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break
		}
	}
	return nil
}
