package data

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// parallel is how many programs run at the same time where no order is needed.
// Each change of a property waits for a transaction group of the pool, and changes
// that wait at the same time share one.
const parallel = 8

// perCall is the least number of datasets for one program: starting a program
// costs time too.
const perCall = 6

// work is one promotion or demotion.
type work struct {
	*Data
	step             Stepper
	inventory        *inventory
	restores         map[string]saved // properties to restore, by dataset
	readOnlyByChoice map[string]bool  // read-only because the operator set it
	result           Result
	failed           map[string]bool
	causes           map[string][]error // errors of calls on several datasets, by dataset
	mu               sync.Mutex         // guards failed, causes and result within a step
}

func (d *Data) work(step Stepper) *work {
	return &work{Data: d, step: step, failed: map[string]bool{}, causes: map[string][]error{}, restores: map[string]saved{}, readOnlyByChoice: map[string]bool{}}
}

// runStep runs one step. Its budget grows with the number of datasets.
func (w *work) runStep(ctx context.Context, name string, datasets int, do func(context.Context) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	budget := w.cfg.Failover.DatasetTimeout
	budget += budget * time.Duration(datasets/parallel) / 4
	return w.step(ctx, name, "", budget, do)
}

// fail records the first failure of a dataset.
func (w *work) fail(d *dataset, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed[d.name] {
		return
	}
	w.failed[d.name] = true
	w.result.Failed = append(w.result.Failed, Failure{Dataset: d.name, Mountpoint: d.path(), Err: err})
}

func (w *work) hasFailed(d *dataset) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed[d.name]
}

func (w *work) warn(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result.Warnings = append(w.result.Warnings, fmt.Sprintf(format, args...))
}

// list lists the datasets, as a step that must succeed.
func (w *work) list(ctx context.Context, name string) error {
	return w.runStep(ctx, name, 0, func(ctx context.Context) (err error) {
		w.inventory, err = w.Data.list(ctx)
		return err
	})
}

// noteMissing records the datasets of suspended pools as failed, and, if missing is
// set, those that this node does not have.
func (w *work) noteMissing(missing bool) {
	if missing {
		for _, name := range w.inventory.missing {
			w.fail(&dataset{name: name}, &MissingError{Name: name})
		}
	}
	for _, name := range w.inventory.suspended {
		w.fail(&dataset{name: name}, &SuspendedError{Name: name})
	}
	w.result.Datasets = len(w.inventory.replicated) + len(w.result.Failed)
}

// inBatches calls do with batches of the names, several at the same time and each
// within one pool. It stores the errors by dataset, for cause.
func (w *work) inBatches(ctx context.Context, names []string, do func(ctx context.Context, names ...string) error) {
	var pieces [][]string
	for pool := range byPool(names) {
		of := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return zfs.PoolOf(name) != pool })
		size := max(perCall, (len(of)+parallel-1)/parallel)
		pieces = slices.AppendSeq(pieces, slices.Chunk(of, size))
	}
	forEach(ctx, pieces, func(ctx context.Context, names []string) {
		if err := do(ctx, names...); err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, name := range names {
				w.causes[name] = append(w.causes[name], err)
			}
		}
	})
}

// cause returns the stored error about a dataset, or one with the text otherwise.
func (w *work) cause(name, otherwise string) error {
	for _, err := range w.causes[name] {
		if about := zfs.About(err, name); about != nil {
			return about
		}
	}
	return fmt.Errorf("dataset %s: %s", name, otherwise)
}

// byPool groups names by pool.
func byPool(names []string) map[string][]string {
	pools := map[string][]string{}
	for _, name := range names {
		pools[zfs.PoolOf(name)] = append(pools[zfs.PoolOf(name)], name)
	}
	return pools
}

// forEach calls do with each item, several at the same time.
func forEach[T any](ctx context.Context, items []T, do func(context.Context, T)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, item := range items {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			do(ctx, item)
		})
	}
	all.Wait()
}

func namesOf(datasets []*dataset) []string {
	names := make([]string, 0, len(datasets))
	for _, d := range datasets {
		names = append(names, d.name)
	}
	return names
}

func filter(datasets []*dataset, keep func(*dataset) bool) []*dataset {
	var kept []*dataset
	for _, d := range datasets {
		if keep(d) {
			kept = append(kept, d)
		}
	}
	return kept
}
