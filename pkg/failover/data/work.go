package data

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// parallel is how many programs are started at the same time, where there is
// no order to keep. Each change of a property waits for the pool to write it
// out, and those that wait at the same time wait for the same one.
const parallel = 8

// perCall is how many datasets one program gets at least: a program has its
// own cost too.
const perCall = 6

// work is one promotion or demotion.
type work struct {
	*Data
	step    Stepper
	holding *holding
	marks   map[string]mark // what is to be put back, by dataset
	kept    map[string]bool // read-only because its owner wants that
	result  Result
	failed  map[string]bool
	causes  map[string][]error // of calls on several datasets, by dataset
	mu      sync.Mutex         // of failed, causes and result, within a step
}

func (d *Data) work(step Stepper) *work {
	return &work{Data: d, step: step, failed: map[string]bool{}, causes: map[string][]error{}, marks: map[string]mark{}, kept: map[string]bool{}}
}

// do does one step; several datasets in it get more time than one.
func (w *work) do(ctx context.Context, name string, datasets int, do func(context.Context) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	budget := w.cfg.Failover.DatasetTimeout
	budget += budget * time.Duration(datasets/parallel) / 4
	return w.step(ctx, name, "", budget, do)
}

// fail enters a dataset's failure; the first one stays.
func (w *work) fail(d *dataset, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed[d.name] {
		return
	}
	w.failed[d.name] = true
	w.result.Failed = append(w.result.Failed, Failure{Dataset: d.name, Mountpoint: d.path(), Err: err})
}

func (w *work) bad(d *dataset) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed[d.name]
}

func (w *work) warn(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result.Warnings = append(w.result.Warnings, fmt.Sprintf(format, args...))
}

// list looks at the datasets; it is a step that everything needs.
func (w *work) list(ctx context.Context, name string) error {
	return w.do(ctx, name, 0, func(ctx context.Context) (err error) {
		w.holding, err = w.Data.list(ctx)
		return err
	})
}

// absent enters what is not here, or can't be reached, as failed.
func (w *work) absent(missing bool) {
	if missing {
		for _, name := range w.holding.missing {
			w.fail(&dataset{name: name}, &MissingError{Name: name})
		}
	}
	for _, name := range w.holding.frozen {
		w.fail(&dataset{name: name}, &SuspendedError{Name: name})
	}
	w.result.Datasets = len(w.holding.mine) + len(w.result.Failed)
}

// inBatches calls do with the names in pieces, several at the same time and
// each within one pool. What fails is kept for whoever reads back.
func (w *work) inBatches(ctx context.Context, names []string, do func(ctx context.Context, names ...string) error) {
	var pieces [][]string
	for pool := range byPool(names) {
		of := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return zfs.PoolOf(name) != pool })
		size := max(perCall, (len(of)+parallel-1)/parallel)
		pieces = slices.AppendSeq(pieces, slices.Chunk(of, size))
	}
	each(ctx, pieces, func(ctx context.Context, names []string) {
		if err := do(ctx, names...); err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, name := range names {
				w.causes[name] = append(w.causes[name], err)
			}
		}
	})
}

// cause is why a dataset is not as it was to be, as far as a call said.
func (w *work) cause(name, otherwise string) error {
	for _, err := range w.causes[name] {
		if about := zfs.About(err, name); about != nil {
			return about
		}
	}
	return fmt.Errorf("dataset %s: %s", name, otherwise)
}

// byPool sorts names by the pools that they lie in.
func byPool(names []string) map[string][]string {
	pools := map[string][]string{}
	for _, name := range names {
		pools[zfs.PoolOf(name)] = append(pools[zfs.PoolOf(name)], name)
	}
	return pools
}

// each does something with all the items, several at the same time.
func each[T any](ctx context.Context, items []T, do func(context.Context, T)) {
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
