package data

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// First parts of the names of the snapshots that are taken here.
const (
	promotedPrefix = "understudy-promoted-"
	demotedPrefix  = "understudy-demoted-"
)

// markTime is the rest of such a name, in UTC.
const markTime = "20060102T150405Z"

// Promote makes the replicated datasets writable and mounts them, parents
// first. It can be killed at any point and called again. The error is for what
// keeps them from being looked at, or ends it early; a dataset that fails is
// in the result, and the others go on.
func (d *Data) Promote(ctx context.Context, step Stepper) (Result, error) {
	w := d.work(step)
	for _, phase := range []func(context.Context) error{
		w.take, w.dropPartial, w.snapshotReplicas, w.loadKeys, w.restore, w.mount, w.verify, w.forget,
	} {
		if err := phase(ctx); err != nil {
			return w.result, err
		}
		if err := context.Cause(ctx); err != nil {
			return w.result, err
		}
	}
	return w.result, nil
}

// take lists the datasets and decides what each is to become.
func (w *work) take(ctx context.Context) error {
	if err := w.list(ctx, "list datasets"); err != nil {
		return err
	}
	w.absent(true)
	for _, d := range w.holding.mine {
		switch {
		case d.unborn:
			w.fail(d, &UnbornError{Name: d.name})
		case d.given(), d.replica():
			w.marks[d.name] = meant(d)
		}
	}
	return nil
}

// UnbornError is a dataset of which no whole snapshot has come yet.
type UnbornError struct{ Name string }

func (e *UnbornError) Error() string {
	return fmt.Sprintf("dataset %s: no whole snapshot of it is here, its first stream has broken off", e.Name)
}

// Hint says what to do.
func (e *UnbornError) Hint() string {
	return "what came is kept; when the other node is back and holds the address, replicate again"
}

// dropPartial drops streams that broke off, where a whole snapshot is here.
func (w *work) dropPartial(ctx context.Context) error {
	partial := filter(w.holding.mine, func(d *dataset) bool { return d.partial && !d.unborn })
	if len(partial) == 0 {
		return nil
	}
	return w.soft(ctx, "drop partial streams", len(partial), func(ctx context.Context) error {
		each(ctx, partial, func(ctx context.Context, d *dataset) {
			if err := w.zfs.AbortReceive(ctx, d.name); err != nil {
				w.warn("%s: the stream that broke off could not be dropped: %v", d.name, err)
			}
		})
		return nil
	})
}

// soft is a step whose failure the datasets themselves will show.
func (w *work) soft(ctx context.Context, name string, datasets int, do func(context.Context) error) error {
	if err := w.do(ctx, name, datasets, do); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		w.warn("%s: %v", name, err)
	}
	return nil
}

// snapshotReplicas marks the state that is taken over, so that it can be gone
// back to. It is what the newest snapshot holds, but retention destroys that
// one some day. Those whose newest snapshot is such a mark have it already; and
// what was written to and given up here is no state that came from elsewhere.
func (w *work) snapshotReplicas(ctx context.Context) error {
	replicas := filter(w.holding.mine, func(d *dataset) bool {
		return d.replica() && !d.unborn && (!d.given() || d.written == 0)
	})
	if len(replicas) == 0 {
		return nil
	}
	return w.soft(ctx, "snapshot", len(replicas), func(ctx context.Context) error {
		newest, err := w.zfs.Newest(ctx, namesOf(replicas))
		if err != nil {
			return err
		}
		replicas = slices.DeleteFunc(replicas, func(d *dataset) bool {
			return strings.HasPrefix(newest[d.name], promotedPrefix) || strings.HasPrefix(newest[d.name], demotedPrefix)
		})
		w.snapshot(ctx, promotedPrefix, namesOf(replicas))
		return nil
	})
}

// snapshot takes snapshots of datasets, those of one pool at one moment.
func (w *work) snapshot(ctx context.Context, prefix string, datasets []string) {
	pools := byPool(datasets)
	each(ctx, sorted(pools), func(ctx context.Context, pool string) {
		name, err := w.snapshotPool(ctx, prefix, pools[pool])
		w.mu.Lock()
		defer w.mu.Unlock()
		if err != nil {
			w.result.Warnings = append(w.result.Warnings,
				fmt.Sprintf("no snapshot of %d datasets in pool %s: %v", len(pools[pool]), pool, err))
			return
		}
		w.result.Snapshot = name
	})
}

// snapshotTries is how many seconds ahead a name is looked for that none of
// the datasets has a snapshot of.
const snapshotTries = 60

func (w *work) snapshotPool(ctx context.Context, prefix string, datasets []string) (name string, err error) {
	now := time.Now().UTC()
	for ahead := range snapshotTries {
		name = prefix + now.Add(time.Duration(ahead)*time.Second).Format(markTime)
		full := make([]string, len(datasets))
		for i, dataset := range datasets {
			full[i] = dataset + "@" + name
		}
		if err = w.zfs.Snapshot(ctx, full...); !errors.Is(err, zfs.Exists) {
			break
		}
	}
	return name, err
}

// forget clears what the datasets remembered, last of all.
func (w *work) forget(ctx context.Context) error {
	marked := namesOf(filter(w.holding.mine, func(d *dataset) bool { return d.given() && !w.bad(d) }))
	if len(marked) == 0 {
		return nil
	}
	return w.soft(ctx, "forget", len(marked), func(ctx context.Context) error {
		w.inBatches(ctx, marked, func(ctx context.Context, names ...string) error {
			return w.zfs.Inherit(ctx, zfs.DemotedProperty, names...)
		})
		return nil
	})
}
