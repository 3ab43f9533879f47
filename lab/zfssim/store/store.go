package store

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// Store is the folder in which everything is kept:
//
//	lock                     one lock for every command
//	pools/NAME.json          imported pools; exported/NAME.json the others
//	data/GUID/man/ID         manifests (the files of a snapshot)
//	data/GUID/fam/ID/        chunks (the bytes of the files), shared by clones
//	data/GUID/ds/ID/live     the live folder, data/GUID/ds/ID/index its state when last saved
//	data/GUID/recv/ID/       a receive in progress or cut
//	keys/ID                  a loaded encryption key
//
// A pool's file is replaced by rename and everything it names is written
// before, so a process killed at any moment leaves the state before or after.
type Store struct {
	root   string
	M      *machine.Machine
	faults *Faults
	lock   io.Closer
	write  bool
	Pools  map[string]*model.Pool
	Dirty  map[string]bool
	After  []func() error // work on folders once the change is committed
}

func New(m *machine.Machine, root string, f *Faults) *Store {
	return &Store{M: m, root: root, faults: f}
}

// Begin takes the lock and reads the pools. A writer first finishes or undoes
// what killed processes left.
func (s *Store) Begin(write bool) error {
	path := filepath.Join(s.root, "lock")
	if err := s.M.Files.Append(path, nil); err != nil {
		return fmt.Errorf("open the store's lock: %w", err)
	}
	lock, err := s.M.Files.Lock(path, machine.LockMode{Exclusive: write})
	if err != nil {
		return fmt.Errorf("lock the store: %w", err)
	}
	s.lock, s.write = lock, write
	s.Pools, s.Dirty, s.After = map[string]*model.Pool{}, map[string]bool{}, nil
	files, err := s.PoolFiles("pools")
	if err != nil {
		return err
	}
	for _, file := range files {
		p, err := s.ReadPool(file)
		if err != nil {
			return err
		}
		s.Pools[p.Name] = p
	}
	if write {
		return s.recover()
	}
	s.hideDead()
	return nil
}

// PoolFiles returns the files of the imported or the exported pools.
func (s *Store) PoolFiles(folder string) ([]string, error) {
	files, err := s.M.Files.List(filepath.Join(s.root, folder))
	var list []string
	for _, f := range files {
		if strings.HasSuffix(f.Path, ".json") {
			list = append(list, f.Path)
		}
	}
	return list, err
}

// End releases the lock; uncommitted changes are dropped.
func (s *Store) End() {
	if s.lock != nil {
		s.lock.Close()
		s.lock = nil
	}
}

// Commit replaces the files of the pools that changed, then does the work on
// folders that had to wait for it.
func (s *Store) Commit() error {
	for name := range s.Dirty {
		p, ok := s.Pools[name]
		if !ok {
			continue
		}
		if err := s.SavePool(p, "pools"); err != nil {
			return err
		}
	}
	s.Dirty = map[string]bool{}
	after := s.After
	s.After = nil
	for _, fn := range after {
		if err := fn(); err != nil {
			return err
		}
	}
	if len(s.Dirty) > 0 || len(s.After) > 0 {
		return s.Commit()
	}
	return nil
}

// Touch marks a pool as changed.
func (s *Store) Touch(p *model.Pool) { s.Dirty[p.Name] = true }

// Later queues work on folders for after the commit.
func (s *Store) Later(fn func() error) { s.After = append(s.After, fn) }

func (s *Store) SavePool(p *model.Pool, folder string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode pool %s: %w", p.Name, err)
	}
	return s.M.Files.Replace(s.PoolFile(folder, p.Name), data)
}

func (s *Store) PoolFile(folder, name string) string {
	return filepath.Join(s.root, folder, name+".json")
}

func (s *Store) ReadPool(file string) (*model.Pool, error) {
	data, err := s.M.Files.Read(file)
	if err != nil {
		return nil, err
	}
	p := &model.Pool{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("read pool %s: %w", file, err)
	}
	p.Link()
	return p, nil
}

// exists reports whether a file of the store is there.
func (s *Store) exists(path string) bool {
	_, err := s.M.Files.Size(path)
	return err == nil
}

func (s *Store) Data(p *model.Pool, elem ...string) string {
	return filepath.Join(append([]string{s.root, "data", fmt.Sprintf("%016x", p.GUID)}, elem...)...)
}

func (s *Store) LiveDir(d *model.Dataset) string { return s.Data(d.Pool, "ds", d.ID, "live") }

// PoolNames returns the imported pools in order.
func (s *Store) PoolNames() []string {
	names := make([]string, 0, len(s.Pools))
	for n := range s.Pools {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Find looks up an object by its full name.
func (s *Store) Find(name string) (model.Object, bool) {
	base := name
	at := strings.IndexAny(name, "@#")
	if at >= 0 {
		base = name[:at]
	}
	pool, _, _ := strings.Cut(base, "/")
	p := s.Pools[pool]
	if p == nil {
		return model.Object{}, false
	}
	d := p.Datasets[base]
	if d == nil {
		return model.Object{}, false
	}
	if at < 0 {
		return model.Object{DS: d}, true
	}
	if name[at] == '@' {
		if sn := d.Snapshot(name[at+1:]); sn != nil {
			return model.Object{DS: d, Snap: sn}, true
		}
		return model.Object{}, false
	}
	if b := d.Bookmark(name[at+1:]); b != nil {
		return model.Object{DS: d, Mark: b}, true
	}
	return model.Object{}, false
}

// NewGUID returns a random number that is not zero.
func (s *Store) NewGUID() uint64 {
	for {
		if n := binary.BigEndian.Uint64(s.Random(8)); n != 0 {
			return n
		}
	}
}

// NewID returns a name for a folder or file that is used once.
func (s *Store) NewID() string { return hex.EncodeToString(s.Random(8)) }

func (s *Store) Random(n int) []byte {
	b := make([]byte, n)
	io.ReadFull(s.M.Random, b)
	return b
}
