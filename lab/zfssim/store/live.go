package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// LiveState is the state of a live folder with the names of its chunks; the
// contents of changed files are given names that match nothing.
func (s *Store) LiveState(d *model.Dataset) (machine.Manifest, error) {
	if !d.Live {
		return s.Manifest(d.Pool, d.Base)
	}
	idx, err := s.index(d)
	if err != nil {
		return nil, err
	}
	known := idx.ByPath()
	m, err := s.M.Trees.Scan(s.LiveDir(d))
	if err != nil {
		return nil, err
	}
	for _, e := range m {
		if k := known[string(e.Path)]; k != nil && k.Unchanged(e) {
			e.Chunks = k.Chunks
		} else {
			e.Chunks = []string{"?"}
		}
	}
	return m, nil
}

// volumeFile is the only file of a volume's live folder.
const volumeFile = "data"

// index reads what the live folder looked like when it was last saved; nil if
// that is not known, because a process was killed at the wrong moment.
func (s *Store) index(d *model.Dataset) (machine.Manifest, error) {
	m, base, err := s.readManifestFile(s.Data(d.Pool, "ds", d.ID, "index"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && base != d.Base {
		return nil, nil
	}
	return m, err
}

func (s *Store) saveIndex(d *model.Dataset, m machine.Manifest, base string) error {
	return s.writeManifest(s.Data(d.Pool, "ds", d.ID, "index"), m, base)
}

// Changed returns how many bytes of a dataset differ from its newest snapshot;
// 0 says that nothing does.
func (s *Store) Changed(d *model.Dataset) (uint64, error) {
	saved, err := s.savedSince(d)
	if err != nil || !d.Live {
		return saved, err
	}
	live, err := s.changedLive(d)
	return saved + live, err
}

// savedSince compares the newest saved state with the newest snapshot; they
// differ when the snapshot that saved the state has been destroyed.
func (s *Store) savedSince(d *model.Dataset) (uint64, error) {
	from := ""
	if l := d.Latest(); l != nil {
		from = l.Manifest
	} else if o := d.Pool.SnapByObj(d.Origin); o != nil {
		from = o.Manifest
	}
	if from == d.Base {
		return 0, nil
	}
	old, err := s.Manifest(d.Pool, from)
	if err != nil {
		return 0, err
	}
	saved, err := s.Manifest(d.Pool, d.Base)
	if err != nil {
		return 0, err
	}
	before := old.ByPath()
	n := uint64(0)
	for _, e := range saved {
		o := before[string(e.Path)]
		delete(before, string(e.Path))
		if o != nil && o.Same(e) {
			continue
		}
		n += 512
		for i, c := range e.Chunks {
			if c != machine.Hole && (o == nil || i >= len(o.Chunks) || o.Chunks[i] != c) {
				n += uint64(machine.ChunkLen(e, i))
			}
		}
	}
	return n + 512*uint64(len(before)), nil
}

// changedLive compares the live folder with the newest saved state.
func (s *Store) changedLive(d *model.Dataset) (uint64, error) {
	idx, err := s.index(d)
	if err != nil {
		return 0, err
	}
	known := idx.ByPath()
	live, err := s.M.Trees.Scan(s.LiveDir(d))
	if err != nil {
		return 0, err
	}
	n, seen := uint64(0), 0
	for _, e := range live {
		k := known[string(e.Path)]
		if k != nil {
			seen++
			if k.Unchanged(e) {
				continue
			}
		}
		if d.Base == "" && e.Folder() && len(e.Path) == 0 || d.Volume && e.Held == 0 && k == nil {
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
func (s *Store) save(d *model.Dataset) (id string, refer, added uint64, indexed func() error, err error) {
	if !d.Live {
		m, err := s.Manifest(d.Pool, d.Base)
		return d.Base, m.Size(), 0, func() error { return nil }, err
	}
	idx, err := s.index(d)
	if err != nil {
		return "", 0, 0, nil, err
	}
	known := idx.ByPath()
	dir := s.LiveDir(d)
	live, err := s.M.Trees.Settled(dir, known)
	if err != nil {
		return "", 0, 0, nil, err
	}
	key, err := s.MasterKey(d)
	if err != nil {
		// Without the key nothing can have been written but before it was
		// unloaded, and that would have to be encrypted now.
		if n, cerr := s.changedLive(d); cerr != nil || n > 0 && d.Base != "" {
			return "", 0, 0, nil, err
		}
		return d.Base, live.Size(), 0, func() error { return nil }, nil
	}
	cs := s.Chunks(d, key)
	fresh := idx == nil || len(live) != len(idx)
	kept := live[:0]
	for _, e := range live {
		k := known[string(e.Path)]
		if k != nil && k.Unchanged(e) {
			e.Chunks = k.Chunks
			kept = append(kept, e)
			continue
		}
		fresh = true
		if e.Regular() {
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
		return d.Base, live.Size(), 0, func() error { return nil }, nil
	}
	id, err = s.SaveManifest(d.Pool, kept)
	if err != nil {
		return "", 0, 0, nil, err
	}
	return id, kept.Size(), added, func() error { return s.saveIndex(d, kept, id) }, nil
}

// materialise makes the live folder equal to the newest saved state, touching
// only what differs. The caller sets d.Live and commits.
func (s *Store) materialise(d *model.Dataset) error {
	want, err := s.Manifest(d.Pool, d.Base)
	if err != nil {
		return err
	}
	dir := s.LiveDir(d)
	if err := s.M.Trees.Make(dir); err != nil {
		return err
	}
	// Present files are trusted only as far as the old index vouches for them.
	idx, _, err := s.readManifestFile(s.Data(d.Pool, "ds", d.ID, "index"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	known := idx.ByPath()
	live, err := s.M.Trees.Scan(dir)
	if err != nil {
		return err
	}
	have, target := live.ByPath(), want.ByPath()
	for i := len(live) - 1; i >= 0; i-- { // folders after what is in them
		e := live[i]
		t := target[string(e.Path)]
		if len(e.Path) > 0 && (t == nil || t.Mode&syscall.S_IFMT != e.Mode&syscall.S_IFMT) {
			if err := s.M.Trees.Remove(dir, string(e.Path)); err != nil {
				return err
			}
			delete(have, string(e.Path))
		}
	}
	key, err := s.MasterKey(d)
	if err != nil && d.Crypt != nil {
		return err
	}
	cs := s.Chunks(d, key)
	for _, t := range want {
		h, k := have[string(t.Path)], known[string(t.Path)]
		if h != nil && k != nil && k.Unchanged(h) && k.Same(t) {
			continue
		}
		if err := s.M.Trees.Put(dir, t, cs.contents(t)); err != nil {
			return fmt.Errorf("restore %s of %s: %w", t.Path, d.Name, err)
		}
	}
	for i := len(want) - 1; i >= 0; i-- { // times last, inner folders first
		if err := s.M.Trees.Touch(dir, want[i]); err != nil {
			return err
		}
	}
	if root := have[""]; len(want) == 0 && root != nil {
		root.Mode = root.Mode&^0o7777 | 0o755
		if err := s.M.Trees.Put(dir, root, nil); err != nil {
			return err
		}
	}
	if live, err = s.M.Trees.Settled(dir, nil); err != nil {
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
func (s *Store) storeFile(cs ChunkStore, dir string, e *machine.Entry) (ids []string, added uint64, err error) {
	f, err := s.M.Trees.Open(dir, string(e.Path))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	return cs.Save(f, e.Size)
}

// contents returns the chunks of a file by their places, nil for a hole.
func (c ChunkStore) contents(e *machine.Entry) func(i int) ([]byte, error) {
	return func(i int) ([]byte, error) {
		if e.Chunks[i] == machine.Hole {
			return nil, nil
		}
		return c.Get(e.Chunks[i], machine.ChunkLen(e, i))
	}
}

// Restore brings a dataset's live folder to its newest saved state if it is in
// use: mounted, or a volume, whose device is always there.
func (s *Store) Restore(d *model.Dataset) error {
	if d.Live || d.Partial {
		return nil
	}
	if d.Volume {
		if d.Crypt != nil && !s.KeyLoaded(d) {
			return s.RemoveVolumeLink(d)
		}
	} else if len(s.MountsOf(d)) == 0 {
		return nil
	}
	if err := s.materialise(d); err != nil {
		return err
	}
	d.Live = true
	s.Touch(d.Pool)
	if d.Volume {
		return s.LinkVolume(d)
	}
	return nil
}

// LinkVolume shows the volume's file in the folder of volumes.
func (s *Store) LinkVolume(d *model.Dataset) error {
	if d.Prop("volmode") == "none" {
		return s.RemoveVolumeLink(d)
	}
	size, err := strconv.ParseInt(d.Prop("volsize"), 10, 64)
	if err != nil {
		return fmt.Errorf("size of volume %s: %w", d.Name, err)
	}
	if err := s.M.Trees.Resize(s.LiveDir(d), volumeFile, size); err != nil {
		return err
	}
	return s.M.Mounts.Link(d.Name, s.LiveDir(d), volumeFile)
}

func (s *Store) RemoveVolumeLink(d *model.Dataset) error { return s.M.Mounts.Unlink(d.Name) }
