package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strings"
)

// store is the folder in which everything is kept:
//
//	lock                     one lock for every command
//	pools/NAME.json          imported pools; exported/NAME.json the others
//	data/GUID/man/ID         manifests (the files of a snapshot)
//	data/GUID/fam/ID/        chunks (the bytes of the files), shared by clones
//	data/GUID/ds/ID/live     the live folder, data/GUID/ds/ID/index its state when last saved
//	data/GUID/recv/ID/       a receive that is under way or was cut
//	keys/ID                  a loaded encryption key
//
// A pool's file is replaced by rename and everything it names is written
// before, so a process killed at any moment leaves the state before or after.
type store struct {
	root   string
	m      *Machine
	faults *faults
	lock   io.Closer
	write  bool
	pools  map[string]*Pool
	dirty  map[string]bool
	after  []func() error // work on folders once the change is committed
}

func newStore(m *Machine, root string, f *faults) *store { return &store{m: m, root: root, faults: f} }

// begin takes the lock and reads the pools. A writer first finishes or undoes
// what killed processes left.
func (s *store) begin(write bool) error {
	path := filepath.Join(s.root, "lock")
	if err := s.m.Files.Append(path, nil); err != nil {
		return fmt.Errorf("open the store's lock: %w", err)
	}
	lock, err := s.m.Files.Lock(path, LockMode{Exclusive: write})
	if err != nil {
		return fmt.Errorf("lock the store: %w", err)
	}
	s.lock, s.write = lock, write
	s.pools, s.dirty, s.after = map[string]*Pool{}, map[string]bool{}, nil
	files, err := s.poolFiles("pools")
	if err != nil {
		return err
	}
	for _, file := range files {
		p, err := s.readPool(file)
		if err != nil {
			return err
		}
		s.pools[p.Name] = p
	}
	if write {
		return s.recover()
	}
	s.hideDead()
	return nil
}

// poolFiles returns the files of the imported or the exported pools.
func (s *store) poolFiles(folder string) ([]string, error) {
	files, err := s.m.Files.List(filepath.Join(s.root, folder))
	var list []string
	for _, f := range files {
		if strings.HasSuffix(f.Path, ".json") {
			list = append(list, f.Path)
		}
	}
	return list, err
}

// end gives the lock back; what was not committed is forgotten.
func (s *store) end() {
	if s.lock != nil {
		s.lock.Close()
		s.lock = nil
	}
}

// commit replaces the files of the pools that changed, then does the work on
// folders that had to wait for it.
func (s *store) commit() error {
	for name := range s.dirty {
		p, ok := s.pools[name]
		if !ok {
			continue
		}
		if err := s.savePool(p, "pools"); err != nil {
			return err
		}
	}
	s.dirty = map[string]bool{}
	after := s.after
	s.after = nil
	for _, fn := range after {
		if err := fn(); err != nil {
			return err
		}
	}
	if len(s.dirty) > 0 || len(s.after) > 0 {
		return s.commit()
	}
	return nil
}

// touch marks a pool as changed.
func (s *store) touch(p *Pool) { s.dirty[p.Name] = true }

// later queues work on folders for after the commit.
func (s *store) later(fn func() error) { s.after = append(s.after, fn) }

func (s *store) savePool(p *Pool, folder string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode pool %s: %w", p.Name, err)
	}
	return s.m.Files.Replace(s.poolFile(folder, p.Name), data)
}

func (s *store) poolFile(folder, name string) string {
	return filepath.Join(s.root, folder, name+".json")
}

func (s *store) readPool(file string) (*Pool, error) {
	data, err := s.m.Files.Read(file)
	if err != nil {
		return nil, err
	}
	p := &Pool{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("read pool %s: %w", file, err)
	}
	p.link()
	return p, nil
}

// exists reports whether a file of the store is there.
func (s *store) exists(path string) bool {
	_, err := s.m.Files.Size(path)
	return err == nil
}

func (s *store) data(p *Pool, elem ...string) string {
	return filepath.Join(append([]string{s.root, "data", fmt.Sprintf("%016x", p.GUID)}, elem...)...)
}

func (s *store) liveDir(d *Dataset) string { return s.data(d.pool, "ds", d.ID, "live") }

// poolNames returns the imported pools in order.
func (s *store) poolNames() []string {
	names := make([]string, 0, len(s.pools))
	for n := range s.pools {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// find looks up an object by its full name.
func (s *store) find(name string) (object, bool) {
	base := name
	at := strings.IndexAny(name, "@#")
	if at >= 0 {
		base = name[:at]
	}
	pool, _, _ := strings.Cut(base, "/")
	p := s.pools[pool]
	if p == nil {
		return object{}, false
	}
	d := p.Datasets[base]
	if d == nil {
		return object{}, false
	}
	if at < 0 {
		return object{ds: d}, true
	}
	if name[at] == '@' {
		if sn := d.snapshot(name[at+1:]); sn != nil {
			return object{ds: d, snap: sn}, true
		}
		return object{}, false
	}
	if b := d.bookmark(name[at+1:]); b != nil {
		return object{ds: d, mark: b}, true
	}
	return object{}, false
}

// newGUID returns a random number that is not zero.
func (s *store) newGUID() uint64 {
	for {
		if n := binary.BigEndian.Uint64(s.random(8)); n != 0 {
			return n
		}
	}
}

// newID returns a name for a folder or file that is used once.
func (s *store) newID() string { return hex.EncodeToString(s.random(8)) }

func (s *store) random(n int) []byte {
	b := make([]byte, n)
	io.ReadFull(s.m.Random, b)
	return b
}
