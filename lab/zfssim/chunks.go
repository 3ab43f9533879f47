package main

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
)

// chunkStore keeps the contents of files in pieces named by their contents.
// With a key they are encrypted and named by a keyed hash, so that neither
// says anything without the key.
type chunkStore struct {
	files Files
	dir   string
	key   []byte // nil: not encrypted
}

func (s *store) chunks(d *Dataset, key []byte) chunkStore {
	return chunkStore{files: s.m.Files, dir: s.data(d.pool, "fam", d.Family), key: key}
}

func (c chunkStore) path(id string) string { return filepath.Join(c.dir, id[:2], id) }

func (c chunkStore) name(plain []byte) string {
	if allZero(plain) {
		return hole
	}
	if c.key == nil {
		sum := sha256.Sum256(plain)
		return hex.EncodeToString(sum[:16])
	}
	mac := hmac.New(sha256.New, c.key)
	mac.Write(plain)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// put keeps a piece and returns its name and how many bytes are new.
func (c chunkStore) put(plain []byte) (id string, added uint64, err error) {
	id = c.name(plain)
	if id == hole {
		return id, 0, nil
	}
	added, err = c.putRaw(id, c.crypt(id, plain))
	return id, added, err
}

// putRaw keeps a piece as it is stored, encrypted or not.
func (c chunkStore) putRaw(id string, stored []byte) (added uint64, err error) {
	path := c.path(id)
	if _, err := c.files.Size(path); err == nil {
		return 0, nil
	}
	if err := c.files.Replace(path, stored); err != nil {
		return 0, err
	}
	return uint64(len(stored)), nil
}

// get returns the contents of a piece of size bytes.
func (c chunkStore) get(id string, size int) ([]byte, error) {
	if id == hole {
		return make([]byte, size), nil
	}
	stored, err := c.getRaw(id)
	if err != nil {
		return nil, err
	}
	return c.crypt(id, stored), nil
}

func (c chunkStore) getRaw(id string) ([]byte, error) {
	if len(id) < 2 {
		return nil, fmt.Errorf("bad chunk name %q", id)
	}
	return c.files.Read(c.path(id))
}

// crypt encrypts or decrypts; a piece's name is never used for other contents,
// so it serves as the counter's start.
func (c chunkStore) crypt(id string, data []byte) []byte {
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

// store reads a file of size bytes into pieces.
func (c chunkStore) store(f io.Reader, size int64) (ids []string, added uint64, err error) {
	buf := make([]byte, chunkSize)
	for off := int64(0); off < size; off += chunkSize {
		want := int(min(chunkSize, size-off))
		n, err := io.ReadFull(f, buf[:want])
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		clear(buf[n:want]) // cut short while we read
		id, fresh, err := c.put(buf[:want])
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

// sweep removes the chunks and manifests that nothing names any more, in the
// families given, and corrects what the datasets count as theirs.
func (s *store) sweep(p *Pool, families map[string]bool) error {
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
			m, err := s.manifest(p, id)
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
			st, err := s.readStage(s.data(p, "recv", d.Stage))
			if err != nil {
				return err
			}
			for _, e := range st.entries {
				for _, c := range e.Chunks {
					used[d.Family][c] = true
				}
			}
		}
	}
	for fam := range families {
		dir := s.data(p, "fam", fam)
		if used[fam] == nil {
			if err := s.m.Files.Remove(dir); err != nil {
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
	files, err := s.m.Files.List(s.data(p, "man"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if !manifests[filepath.Base(f.Path)] && !strings.HasSuffix(f.Path, temporary) {
			if err := s.m.Files.Remove(f.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *store) sweepDir(dir string, used map[string]bool) (kept uint64, err error) {
	files, err := s.m.Files.List(dir)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if used[filepath.Base(f.Path)] {
			kept += uint64(f.Size)
		} else if err := s.m.Files.Remove(f.Path); err != nil {
			return 0, err
		}
	}
	return kept, nil
}

// share spreads the bytes that are left over the datasets of a family, in the
// proportion of what they had.
func (s *store) share(p *Pool, family string, kept uint64) {
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
			s.touch(p)
		}
	}
}
