package watch

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/fsnotify/fsnotify"

	"github.com/understudy-ha/understudy/pkg/failover/self"
)

// Changes reports the names of files that have appeared in, or been replaced in,
// this node's folders. A simulated node has one of its own.
type Changes interface {
	Files() <-chan string
	Errors() <-chan error
	Close() error
}

// inotify reports changes by inotify(7).
type inotify struct {
	watcher *fsnotify.Watcher
	files   chan string
	closed  chan struct{}
}

// Inotify watches both folders of a node.
func Inotify(r *self.Records) (Changes, error) {
	if err := r.RunDir.Make(); err != nil {
		return nil, err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", r.State.Path(), err)
	}
	for _, path := range []string{r.State.Path(), r.RunDir.Path()} {
		if err := watcher.Add(path); err != nil {
			return nil, errors.Join(fmt.Errorf("watch %s: %w", path, err), watcher.Close())
		}
	}
	c := &inotify{watcher: watcher, files: make(chan string), closed: make(chan struct{})}
	go c.forward()
	return c, nil
}

// forward passes on the files that appear: a record is replaced by a rename.
func (c *inotify) forward() {
	for event := range c.watcher.Events {
		if !event.Has(fsnotify.Create) {
			continue
		}
		select {
		case c.files <- filepath.Base(event.Name):
		case <-c.closed:
			return
		}
	}
}

func (c *inotify) Files() <-chan string { return c.files }

func (c *inotify) Errors() <-chan error { return c.watcher.Errors }

func (c *inotify) Close() error {
	close(c.closed)
	return c.watcher.Close()
}
