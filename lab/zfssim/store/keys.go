package store

import (
	"encoding/hex"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

func (s *Store) KeyFile(rootID string) string { return s.root + "/keys/" + rootID }

func (s *Store) KeyLoaded(d *model.Dataset) bool {
	if d.Crypt == nil {
		return true
	}
	return s.exists(s.KeyFile(d.Crypt.Root))
}

// EncryptionRoot is the dataset whose key is used.
func (s *Store) EncryptionRoot(d *model.Dataset) *model.Dataset {
	if d.Crypt == nil {
		return nil
	}
	for _, e := range d.Pool.Datasets {
		if e.ID == d.Crypt.Root {
			return e
		}
	}
	return d
}

// MasterKey is the key of a dataset's contents; nil without encryption.
func (s *Store) MasterKey(d *model.Dataset) ([]byte, error) {
	if d.Crypt == nil {
		return nil, nil
	}
	user, err := s.UserKey(d.Crypt.Root)
	if err != nil {
		return nil, err
	}
	return model.Unwrap(user, d.Crypt.Wrapped)
}

func (s *Store) UserKey(rootID string) ([]byte, error) {
	text, err := s.M.Files.Read(s.KeyFile(rootID))
	if err != nil {
		return nil, model.ErrNoKey
	}
	return hex.DecodeString(string(text))
}

func (s *Store) SaveUserKey(rootID string, key []byte) error {
	return s.M.Files.Replace(s.KeyFile(rootID), []byte(hex.EncodeToString(key)))
}

func (s *Store) Wrap(user, master []byte) string {
	nonce := s.Random(12)
	return hex.EncodeToString(model.Gcm(user).Seal(nonce, nonce, master, nil))
}
