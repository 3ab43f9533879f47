package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// fileHead is the first line of a manifest or index.
type fileHead struct {
	Base string `json:"base"` // of an index: the manifest it describes
}

func (s *Store) writeManifest(path string, m machine.Manifest, base string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	err := enc.Encode(fileHead{base})
	for _, e := range m {
		if err == nil {
			err = enc.Encode(e)
		}
	}
	if err == nil {
		err = s.M.Files.Replace(path, b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (s *Store) readManifestFile(path string) (m machine.Manifest, base string, err error) {
	data, err := s.M.Files.Read(path)
	if err != nil {
		return nil, "", err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var head fileHead
	if err := dec.Decode(&head); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	for {
		e := &machine.Entry{}
		if err := dec.Decode(e); errors.Is(err, io.EOF) {
			return m, head.Base, nil
		} else if err != nil {
			return nil, "", fmt.Errorf("read %s: %w", path, err)
		}
		m = append(m, e)
	}
}

// Manifest reads a saved state; the empty id is a state with nothing in it.
func (s *Store) Manifest(p *model.Pool, id string) (machine.Manifest, error) {
	if id == "" {
		return nil, nil
	}
	m, _, err := s.readManifestFile(s.Data(p, "man", id))
	return m, err
}

// SaveManifest writes a state under a new id.
func (s *Store) SaveManifest(p *model.Pool, m machine.Manifest) (string, error) {
	id := s.NewID()
	bare := make(machine.Manifest, len(m))
	for i, e := range m {
		c := *e
		c.Ino, c.CTime = 0, 0
		bare[i] = &c
	}
	return id, s.writeManifest(s.Data(p, "man", id), bare, "")
}
