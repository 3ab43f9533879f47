package app

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// ReadKey reads a key from where keylocation says and derives the wrapping
// key; why says what is wrong with it.
func (a *App) ReadKey(location string, c *model.Crypt) (key []byte, why string) {
	var given []byte
	switch {
	case location == "" || location == "prompt":
		limit := 512
		if c.KeyFormat == "raw" {
			limit = 33
		}
		var err error
		if c.KeyFormat == "raw" {
			given, err = io.ReadAll(io.LimitReader(a.In, int64(limit)))
		} else {
			given, err = bufio.NewReader(a.In).ReadBytes('\n')
			if err == io.EOF {
				err = nil
			}
		}
		if err != nil {
			return nil, "Failed to read key: " + Strerror(err)
		}
	case strings.HasPrefix(location, "file://"):
		path := strings.TrimPrefix(location, "file://")
		var err error
		if given, err = a.Store.M.ReadFile(path); err != nil {
			return nil, fmt.Sprintf("Failed to open key material file: %s", Strerror(bareErrno(err)))
		}
	default:
		return nil, "Invalid key location."
	}
	return model.DeriveKey(c.KeyFormat, c.Salt, c.Iters, given)
}

// LoadKey loads the key of one encryption root.
func (a *App) LoadKey(d *model.Dataset, location string, dry bool) int {
	bad := func(why string) int {
		fmt.Fprintf(a.Err, "Key load error: %s\n", why)
		return 255
	}
	if d.Crypt == nil {
		return bad(fmt.Sprintf("'%s' is not encrypted.", d.Name))
	}
	root := a.Store.EncryptionRoot(d)
	if root != d {
		return bad(fmt.Sprintf("Keys must be loaded for encryption root of '%s' (%s).", d.Name, root.Name))
	}
	if a.Store.KeyLoaded(d) && !dry {
		return bad(fmt.Sprintf("Key already loaded for '%s'.", d.Name))
	}
	if location == "" {
		location = d.Local["keylocation"]
	}
	key, why := a.ReadKey(location, d.Crypt)
	if why != "" {
		return bad(why)
	}
	if _, err := model.Unwrap(key, d.Crypt.Wrapped); err != nil {
		return bad(fmt.Sprintf("Incorrect key provided for '%s'.", d.Name))
	}
	if dry {
		return 0
	}
	if err := a.Store.SaveUserKey(d.ID, key); err != nil {
		return a.Failf("zfssim: %v", err)
	}
	for _, e := range d.Pool.Datasets {
		if e.Volume && e.Crypt != nil && e.Crypt.Root == d.ID {
			if err := a.Store.Restore(e); err != nil {
				return a.Failf("zfssim: %v", err)
			}
			if e.Live {
				a.Store.LinkVolume(e)
			}
		}
	}
	return 0
}
