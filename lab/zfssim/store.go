package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
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
	root  string
	zvols string
	lock  *os.File
	write bool
	pools map[string]*Pool
	dirty map[string]bool
	after []func() error // work on folders once the change is committed
}

func newStore() (*store, error) {
	root := os.Getenv("ZFSSIM_ROOT")
	if root == "" {
		root = "/var/lib/zfssim"
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	zvols := os.Getenv("ZFSSIM_ZVOL_DIR")
	if zvols == "" {
		zvols = "/dev/zvol"
	}
	if err := os.MkdirAll(filepath.Join(root, "pools"), 0o755); err != nil {
		return nil, fmt.Errorf("make the store: %w", err)
	}
	return &store{root: root, zvols: zvols}, nil
}

// begin takes the lock and reads the pools. A writer first finishes or undoes
// what killed processes left.
func (s *store) begin(write bool) error {
	f, err := os.OpenFile(filepath.Join(s.root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the store's lock: %w", err)
	}
	how := syscall.LOCK_SH
	if write {
		how = syscall.LOCK_EX
	}
	for {
		if err = syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("lock the store: %w", err)
	}
	s.lock, s.write = f, write
	s.pools, s.dirty, s.after = map[string]*Pool{}, map[string]bool{}, nil
	files, err := filepath.Glob(filepath.Join(s.root, "pools", "*.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		p, err := readPool(file)
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
	dir := filepath.Join(s.root, folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, p.Name+".json"), data)
}

func readPool(file string) (*Pool, error) {
	data, err := os.ReadFile(file)
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

// replaceFile writes a file beside and renames it into place.
func replaceFile(path string, data []byte) error {
	tmp := path + "." + newID() + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, path)
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
func newGUID() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:])
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

// newID returns a name for a folder or file that is used once.
func newID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
