package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// ChunkStore keeps the contents of files in pieces named by their contents.
// With a key they are encrypted and named by a keyed hash, so that neither
// says anything without the key.
type ChunkStore struct {
	files machine.Files
	dir   string
	key   []byte // nil: not encrypted
}

func (s *Store) Chunks(d *model.Dataset, key []byte) ChunkStore {
	return ChunkStore{files: s.M.Files, dir: s.Data(d.Pool, "fam", d.Family), key: key}
}

func (c ChunkStore) path(id string) string { return filepath.Join(c.dir, id[:2], id) }

func (c ChunkStore) name(plain []byte) string {
	if allZero(plain) {
		return machine.Hole
	}
	if c.key == nil {
		sum := sha256.Sum256(plain)
		return hex.EncodeToString(sum[:16])
	}
	mac := hmac.New(sha256.New, c.key)
	mac.Write(plain)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Put keeps a piece and returns its name and how many bytes are new.
func (c ChunkStore) Put(plain []byte) (id string, added uint64, err error) {
	id = c.name(plain)
	if id == machine.Hole {
		return id, 0, nil
	}
	added, err = c.PutRaw(id, c.crypt(id, plain))
	return id, added, err
}

// PutRaw keeps a piece as it is stored, encrypted or not.
func (c ChunkStore) PutRaw(id string, stored []byte) (added uint64, err error) {
	path := c.path(id)
	if _, err := c.files.Size(path); err == nil {
		return 0, nil
	}
	if err := c.files.Replace(path, stored); err != nil {
		return 0, err
	}
	return uint64(len(stored)), nil
}

// Get returns the contents of a piece of size bytes.
func (c ChunkStore) Get(id string, size int) ([]byte, error) {
	if id == machine.Hole {
		return make([]byte, size), nil
	}
	stored, err := c.GetRaw(id)
	if err != nil {
		return nil, err
	}
	return c.crypt(id, stored), nil
}

func (c ChunkStore) GetRaw(id string) ([]byte, error) {
	if len(id) < 2 {
		return nil, fmt.Errorf("bad chunk name %q", id)
	}
	return c.files.Read(c.path(id))
}

// crypt encrypts or decrypts; a piece's name is never used for other contents,
// so it serves as the counter's start.
func (c ChunkStore) crypt(id string, data []byte) []byte {
	if c.key == nil {
		return data
	}
	block, err := aes.NewCipher(c.key)
	if err != nil {
		panic(err) // the key's length is ours
	}
	iv, _ := hex.DecodeString(id)
	out := make([]byte, len(data))
	cipher.NewCTR(block, iv[:aes.BlockSize]).XORKeyStream(out, data)
	return out
}

// Save reads a file of size bytes into pieces.
func (c ChunkStore) Save(f io.Reader, size int64) (ids []string, added uint64, err error) {
	buf := make([]byte, machine.ChunkSize)
	for off := int64(0); off < size; off += machine.ChunkSize {
		want := int(min(machine.ChunkSize, size-off))
		n, err := io.ReadFull(f, buf[:want])
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		clear(buf[n:want]) // cut short while we read
		id, fresh, err := c.Put(buf[:want])
		if err != nil {
			return nil, 0, err
		}
		ids = append(ids, id)
		added += fresh
	}
	return ids, added, nil
}

func allZero(b []byte) bool {
	var zero [4096]byte
	for len(b) > 0 {
		n := min(len(b), len(zero))
		if !bytes.Equal(b[:n], zero[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// Sweep removes the chunks and manifests that nothing names any more, in the
// families given, and corrects what the datasets count as theirs.
func (s *Store) Sweep(p *model.Pool, families map[string]bool) error {
	if len(families) == 0 {
		return nil
	}
	used := map[string]map[string]bool{}
	manifests := map[string]bool{}
	for _, d := range p.Datasets {
		ids := map[string]bool{d.Base: true}
		for _, sn := range d.Snaps {
			ids[sn.Manifest] = true
		}
		for id := range ids {
			manifests[id] = true
		}
		for _, b := range d.Marks {
			manifests[b.Manifest] = true
		}
		if !families[d.Family] {
			continue
		}
		if used[d.Family] == nil {
			used[d.Family] = map[string]bool{}
		}
		for id := range ids {
			m, err := s.Manifest(p, id)
			if err != nil {
				return err
			}
			for _, e := range m {
				for _, c := range e.Chunks {
					used[d.Family][c] = true
				}
			}
		}
		if d.Stage != "" {
			st, err := s.readStage(s.Data(p, "recv", d.Stage))
			if err != nil {
				return err
			}
			for _, e := range st.Entries {
				for _, c := range e.Chunks {
					used[d.Family][c] = true
				}
			}
		}
	}
	for fam := range families {
		dir := s.Data(p, "fam", fam)
		if used[fam] == nil {
			if err := s.M.Files.Remove(dir); err != nil {
				return err
			}
			continue
		}
		kept, err := s.sweepDir(dir, used[fam])
		if err != nil {
			return err
		}
		s.share(p, fam, kept)
	}
	files, err := s.M.Files.List(s.Data(p, "man"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if !manifests[filepath.Base(f.Path)] && !strings.HasSuffix(f.Path, machine.Temporary) {
			if err := s.M.Files.Remove(f.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) sweepDir(dir string, used map[string]bool) (kept uint64, err error) {
	files, err := s.M.Files.List(dir)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if used[filepath.Base(f.Path)] {
			kept += uint64(f.Size)
		} else if err := s.M.Files.Remove(f.Path); err != nil {
			return 0, err
		}
	}
	return kept, nil
}

// share spreads the bytes that are left over the datasets of a family, in the
// proportion of what they had.
func (s *Store) share(p *model.Pool, family string, kept uint64) {
	total := uint64(0)
	for _, d := range p.Datasets {
		if d.Family == family {
			total += d.Stored
		}
	}
	if total == 0 || total == kept {
		return
	}
	for _, d := range p.Datasets {
		if d.Family == family {
			d.Stored = uint64(float64(d.Stored) / float64(total) * float64(kept))
			s.Touch(p)
		}
	}
}
