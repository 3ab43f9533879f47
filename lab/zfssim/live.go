package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"
)

// volumeFile is the only file of a volume's live folder.
const volumeFile = "data"

// index reads what the live folder looked like when it was last saved; nil if
// that is not known, because a process was killed at the wrong moment.
func (s *store) index(d *Dataset) (manifest, error) {
	m, base, err := s.readManifestFile(s.data(d.pool, "ds", d.ID, "index"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && base != d.Base {
		return nil, nil
	}
	return m, err
}

func (s *store) saveIndex(d *Dataset, m manifest, base string) error {
	return s.writeManifest(s.data(d.pool, "ds", d.ID, "index"), m, base)
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
	live, err := s.m.Trees.Scan(s.liveDir(d))
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
	live, err := s.m.Trees.Settled(dir, known)
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
			ids, n, err := s.storeFile(cs, dir, e)
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
	if err := s.m.Trees.Make(dir); err != nil {
		return err
	}
	// What is there is trusted only as far as the old index vouches for it.
	idx, _, err := s.readManifestFile(s.data(d.pool, "ds", d.ID, "index"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	known := idx.byPath()
	live, err := s.m.Trees.Scan(dir)
	if err != nil {
		return err
	}
	have, target := live.byPath(), want.byPath()
	for i := len(live) - 1; i >= 0; i-- { // folders after what is in them
		e := live[i]
		t := target[string(e.Path)]
		if len(e.Path) > 0 && (t == nil || t.Mode&syscall.S_IFMT != e.Mode&syscall.S_IFMT) {
			if err := s.m.Trees.Remove(dir, string(e.Path)); err != nil {
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
		if err := s.m.Trees.Put(dir, t, cs.contents(t)); err != nil {
			return fmt.Errorf("restore %s of %s: %w", t.Path, d.Name, err)
		}
	}
	for i := len(want) - 1; i >= 0; i-- { // times last, inner folders first
		if err := s.m.Trees.Touch(dir, want[i]); err != nil {
			return err
		}
	}
	if root := have[""]; len(want) == 0 && root != nil {
		root.Mode = root.Mode&^0o7777 | 0o755
		if err := s.m.Trees.Put(dir, root, nil); err != nil {
			return err
		}
	}
	if live, err = s.m.Trees.Settled(dir, nil); err != nil {
		return err
	}
	for _, e := range live {
		if t := target[string(e.Path)]; t != nil {
			e.Chunks = t.Chunks
		}
	}
	return s.saveIndex(d, live, d.Base)
}

// storeFile saves the contents of a file in a live folder.
func (s *store) storeFile(cs chunkStore, dir string, e *entry) (ids []string, added uint64, err error) {
	f, err := s.m.Trees.Open(dir, string(e.Path))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	return cs.store(f, e.Size)
}

// contents returns the chunks of a file by their places, nil for a hole.
func (c chunkStore) contents(e *entry) func(i int) ([]byte, error) {
	return func(i int) ([]byte, error) {
		if e.Chunks[i] == hole {
			return nil, nil
		}
		return c.get(e.Chunks[i], chunkLen(e, i))
	}
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
	size, err := strconv.ParseInt(d.prop("volsize"), 10, 64)
	if err != nil {
		return fmt.Errorf("size of volume %s: %w", d.Name, err)
	}
	if err := s.m.Trees.Resize(s.liveDir(d), volumeFile, size); err != nil {
		return err
	}
	return s.m.Mounts.Link(d.Name, s.liveDir(d), volumeFile)
}

func (s *store) removeVolumeLink(d *Dataset) error { return s.m.Mounts.Unlink(d.Name) }
