package replicate

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/prune"
)

// Result is what a run did. Sizes are bytes.
type Result struct {
	Node      string           `json:"node"`
	Started   time.Time        `json:"started"`
	Seconds   float64          `json:"seconds"`
	DryRun    bool             `json:"dry_run,omitempty"`
	Snapshot  SnapshotResult   `json:"snapshot"`
	Missing   string           `json:"missing,omitempty"` // datasets of the config that are not here
	Standbys  []*StandbyResult `json:"standbys"`
	Pruned    []prune.Result   `json:"pruned,omitempty"` // here
	Processes map[string]int   `json:"processes"`        // started here
	missing   error
}

// SnapshotResult is the snapshot of a run.
type SnapshotResult struct {
	Name     string   `json:"name,omitempty"` // after @; empty when none was taken
	Datasets []string `json:"datasets,omitempty"`
	Reason   string   `json:"reason"`
	Error    string   `json:"error,omitempty"` // it could not be taken
	err      error
}

func (s *SnapshotResult) fail(err error) {
	s.Name, s.Datasets = "", nil
	s.err, s.Error = err, err.Error()
}

// StandbyResult is what a run did on one standby.
type StandbyResult struct {
	Node      string         `json:"node"`
	Items     []*ItemResult  `json:"items"`
	Pruned    []prune.Result `json:"pruned,omitempty"`
	Bytes     int64          `json:"bytes"`
	Seconds   float64        `json:"seconds"`
	Processes map[string]int `json:"processes,omitempty"` // started there
	Error     string         `json:"error,omitempty"`     // of the session as a whole
	Hint      string         `json:"hint,omitempty"`
	err       error
}

// ItemResult is what a run did with one dataset.
type ItemResult struct {
	*plan.Item
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
	Partial bool    `json:"partial,omitempty"` // what came before the error is kept and resumed
	Warning string  `json:"warning,omitempty"` // done, but zfs receive complained
	err     error
}

// ok says whether the standby has what it should have of the dataset.
func (i *ItemResult) ok() bool { return i.Error == "" && !i.Stuck() }

// Counts counts the datasets of all standbys: those in order, and those that
// failed or need a person.
func (r *Result) Counts() (good, bad int) {
	for _, s := range r.Standbys {
		for _, item := range s.Items {
			if item.ok() {
				good++
			} else {
				bad++
			}
		}
	}
	return good, bad
}

// Err sums a run up: nil, or an error with the exit code of the run.
func (r *Result) Err() error {
	var firstErr error
	refused, failed := 0, 0
	for _, err := range []error{r.missing, r.Snapshot.err} {
		if err != nil {
			failed++
			firstErr = errors.Join(firstErr, err)
		}
	}
	for _, s := range r.Standbys {
		if s.err != nil {
			failed++
			firstErr = errors.Join(firstErr, s.err)
		}
		for _, item := range s.Items {
			switch {
			case item.err != nil:
				failed++
			case item.Stuck(): // where one is skipped since another failed, that one counts
				refused++
			}
		}
	}
	for _, p := range r.pruned() {
		if p.Error != "" {
			failed++
		}
	}
	good, _ := r.Counts()
	switch {
	case failed+refused == 0:
		return nil
	case good > 0:
		return &Summary{result: r, code: 3, cause: firstErr}
	case failed == 0:
		return &Summary{result: r, code: 76, cause: firstErr}
	}
	code := 1
	if len(r.Standbys) == 1 && firstErr != nil {
		code = exit.Code(firstErr)
	}
	return &Summary{result: r, code: code, cause: firstErr}
}

// pruned is what retention did on all nodes.
func (r *Result) pruned() []prune.Result {
	all := slices.Clone(r.Pruned)
	for _, s := range r.Standbys {
		all = append(all, s.Pruned...)
	}
	return all
}

// settle sorts what several goroutines have put together.
func (r *Result) settle() {
	slices.SortFunc(r.Pruned, func(a, b prune.Result) int { return strings.Compare(a.Dataset, b.Dataset) })
}
