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

// Prefixes of the names of snapshots that a promotion or demotion takes.
const (
	promotedPrefix = "understudy-promoted-"
	demotedPrefix  = "understudy-demoted-"
)

// stampFormat is the format of the time after the prefix, in UTC.
const stampFormat = "20060102T150405Z"

// Promote makes the replicated datasets writable and mounts them, parents
// first. It can be killed at any point and called again. It returns an error if the
// datasets can't be listed or ctx ends; a dataset that fails is in the result and
// does not stop the others.
func (d *Data) Promote(ctx context.Context, step Stepper) (Result, error) {
	w := d.work(step)
	for _, phase := range []func(context.Context) error{
		w.planPromotion, w.dropPartial, w.snapshotReplicas, w.loadKeys, w.restore, w.mount, w.verify, w.clearSaved,
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

// planPromotion lists the datasets and decides which properties each one gets.
func (w *work) planPromotion(ctx context.Context) error {
	if err := w.list(ctx, "list datasets"); err != nil {
		return err
	}
	w.noteMissing(true)
	for _, d := range w.inventory.replicated {
		switch {
		case d.incomplete:
			w.fail(d, &IncompleteError{Name: d.name})
		case d.released(), d.replica():
			w.restores[d.name] = promotedTo(d)
		}
	}
	return nil
}

// IncompleteError is a dataset whose first receive has not completed.
type IncompleteError struct{ Name string }

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("dataset %s: no complete snapshot on this node, its first receive was interrupted", e.Name)
}

// Hint says what to do.
func (e *IncompleteError) Hint() string {
	return "the partial receive stays; when the other node is active again, replicate again"
}

// dropPartial drops partial receives of datasets with a complete snapshot.
func (w *work) dropPartial(ctx context.Context) error {
	partial := filter(w.inventory.replicated, func(d *dataset) bool { return d.partial && !d.incomplete })
	if len(partial) == 0 {
		return nil
	}
	return w.bestEffort(ctx, "drop partial receives", len(partial), func(ctx context.Context) error {
		forEach(ctx, partial, func(ctx context.Context, d *dataset) {
			if err := w.zfs.AbortReceive(ctx, d.name); err != nil {
				w.warn("%s: cannot drop the partial receive: %v", d.name, err)
			}
		})
		return nil
	})
}

// bestEffort runs a step whose failure is a warning: the datasets are verified later.
func (w *work) bestEffort(ctx context.Context, name string, datasets int, do func(context.Context) error) error {
	if err := w.runStep(ctx, name, datasets, do); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		w.warn("%s: %v", name, err)
	}
	return nil
}

// snapshotReplicas takes a snapshot of the replicated state that is taken over, so
// that the operator can return to it. The newest snapshot holds the same state, but
// retention destroys it some day. Datasets whose newest snapshot is such a one need
// no other, and a dataset that was written to and released here is no replica.
func (w *work) snapshotReplicas(ctx context.Context) error {
	replicas := filter(w.inventory.replicated, func(d *dataset) bool {
		return d.replica() && !d.incomplete && (!d.released() || d.written == 0)
	})
	if len(replicas) == 0 {
		return nil
	}
	return w.bestEffort(ctx, "snapshot", len(replicas), func(ctx context.Context) error {
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

// snapshot takes snapshots of datasets, atomically within each pool.
func (w *work) snapshot(ctx context.Context, prefix string, datasets []string) {
	pools := byPool(datasets)
	forEach(ctx, sorted(pools), func(ctx context.Context, pool string) {
		name, err := w.snapshotPool(ctx, prefix, pools[pool])
		w.mu.Lock()
		defer w.mu.Unlock()
		if err != nil {
			w.result.Warnings = append(w.result.Warnings,
				fmt.Sprintf("cannot snapshot %d datasets in pool %s: %v", len(pools[pool]), pool, err))
			return
		}
		w.result.Snapshot = name
	})
}

// snapshotTries bounds the search for a name that no dataset has a snapshot of: each
// try is one second ahead.
const snapshotTries = 60

func (w *work) snapshotPool(ctx context.Context, prefix string, datasets []string) (name string, err error) {
	now := time.Now().UTC()
	for ahead := range snapshotTries {
		name = prefix + now.Add(time.Duration(ahead)*time.Second).Format(stampFormat)
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

// clearSaved clears the properties that the datasets stored, as the last step.
func (w *work) clearSaved(ctx context.Context) error {
	released := namesOf(filter(w.inventory.replicated, func(d *dataset) bool { return d.released() && !w.hasFailed(d) }))
	if len(released) == 0 {
		return nil
	}
	return w.bestEffort(ctx, "clear saved properties", len(released), func(ctx context.Context) error {
		w.inBatches(ctx, released, func(ctx context.Context, names ...string) error {
			return w.zfs.Inherit(ctx, zfs.DemotedProperty, names...)
		})
		return nil
	})
}
