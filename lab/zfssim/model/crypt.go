package model

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Crypt holds the keys of an encrypted dataset: its master key, wrapped with
// the key of the encryption root.
type Crypt struct {
	Suite     string
	KeyGUID   uint64 // a raw stream belongs here if its key has the same
	Root      string // dataset folder of the encryption root
	Wrapped   string // hex, AES-GCM
	KeyFormat string `json:",omitempty"` // of an encryption root: passphrase, hex or raw
	Iters     int    `json:",omitempty"`
	Salt      string `json:",omitempty"`
}

var (
	ErrNoKey    = errors.New("encryption key not loaded")
	errWrongKey = errors.New("incorrect key")
)

func Gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key's length is ours
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func Unwrap(user []byte, wrapped string) ([]byte, error) {
	b, err := hex.DecodeString(wrapped)
	if err != nil || len(b) < 12 {
		return nil, errWrongKey
	}
	m, err := Gcm(user).Open(nil, b[:12], b[12:], nil)
	if err != nil {
		return nil, errWrongKey
	}
	return m, nil
}

// DeriveKey turns what the user gives into the wrapping key.
func DeriveKey(format, salt string, iters int, given []byte) ([]byte, string) {
	switch format {
	case "raw":
		if len(given) < 32 {
			return nil, fmt.Sprintf("Raw key too short (expected %d).", 32)
		}
		if len(given) > 32 {
			return nil, fmt.Sprintf("Raw key too long (expected %d).", 32)
		}
		return given, ""
	case "hex":
		text := strings.TrimRight(string(given), "\n")
		if len(text) < 64 {
			return nil, fmt.Sprintf("Hex key too short (expected %d).", 64)
		}
		if len(text) > 64 {
			return nil, fmt.Sprintf("Hex key too long (expected %d).", 64)
		}
		key, err := hex.DecodeString(text)
		if err != nil {
			return nil, "Invalid hex character detected."
		}
		return key, ""
	}
	text, _, _ := strings.Cut(string(given), "\n")
	if len(text) < 8 {
		return nil, "Passphrase too short (min 8)."
	}
	if len(text) > 512 {
		return nil, "Passphrase too long (max 512)."
	}
	// Real iteration counts cost a quarter of a second, which tests need not pay.
	key, err := pbkdf2.Key(sha256.New, text, []byte(salt), 1+iters/100000, 32)
	if err != nil {
		return nil, err.Error()
	}
	return key, ""
}
