package zfs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/understudy-ha/understudy/pkg/run"
)

// library holds the calls that go-zfs serves. go-zfs starts zfs itself, with one runner
// for the whole process: only this file knows it, and a simulated machine uses
// commands instead.
type library interface {
	set(dataset, property, value string) error
	pool(name string) (Pool, error)
}

// newLibrary returns go-zfs on a real machine, commands on a simulated one.
func newLibrary(z *ZFS, r run.Programs) library {
	if _, real := r.(*run.Runner); !real {
		return commands{z}
	}
	gozfs.SetRunner(&gozfs.Runner{Timeout: z.timeout, Grace: 5 * time.Second})
	return goZFS{}
}

// SetProperty sets one property of a dataset.
func (z *ZFS) SetProperty(dataset, property, value string) error {
	if err := z.library.set(dataset, property, value); err != nil {
		return fmt.Errorf("set %s of %s: %w", property, dataset, err)
	}
	return nil
}

// Pool returns a pool's size and health.
func (z *ZFS) Pool(name string) (Pool, error) {
	p, err := z.library.pool(name)
	if err != nil {
		return Pool{}, fmt.Errorf("read pool %s: %w", name, err)
	}
	return p, nil
}

// goZFS is the library that uses go-zfs.
type goZFS struct{}

func (goZFS) set(dataset, property, value string) error {
	d := gozfs.Dataset{Name: dataset}
	return explainLibrary(d.SetProperty(property, value))
}

func (goZFS) pool(name string) (Pool, error) {
	p, err := gozfs.GetZpool(name)
	if err != nil {
		return Pool{}, explainLibrary(err)
	}
	return Pool{Name: p.Name, Health: p.Health, Free: p.Free, Size: p.Size}, nil
}

// explainLibrary is explain for errors of go-zfs.
func explainLibrary(err error) error {
	var e *gozfs.Error
	if !errors.As(err, &e) {
		return err
	}
	text := oneLine(e.Stderr)
	if text == "" { // not started: go-zfs's Error has no Unwrap
		return e.Err
	}
	return &Error{Reason: reasonOf(text), Text: text, Cause: e.Err}
}

// commands is the library that uses the programs of ZFS.run.
type commands struct{ z *ZFS }

func (c commands) set(dataset, property, value string) error {
	_, err := c.z.output(context.Background(), "zfs", "set", property+"="+value, dataset)
	return err
}

func (c commands) pool(name string) (Pool, error) {
	out, err := c.z.output(context.Background(), "zpool", "list", "-Hpo", "name,health,free,size", name)
	if err != nil {
		return Pool{}, err
	}
	words := strings.Fields(string(out))
	if len(words) != 4 {
		return Pool{}, fmt.Errorf("parse zpool list: %q instead of four words", shortened(string(out)))
	}
	free, errFree := strconv.ParseUint(words[2], 10, 64)
	size, errSize := strconv.ParseUint(words[3], 10, 64)
	return Pool{Name: words[0], Health: words[1], Free: free, Size: size}, errors.Join(errFree, errSize)
}

// shortened bounds another program's text in a message.
func shortened(text string) string {
	const limit = 200
	if len(text) > limit {
		return text[:limit] + "…"
	}
	return text
}
