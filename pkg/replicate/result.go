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

// Result is the result of a run. Sizes are bytes.
type Result struct {
	Node      string           `json:"node"`
	Started   time.Time        `json:"started"`
	Seconds   float64          `json:"seconds"`
	DryRun    bool             `json:"dry_run,omitempty"`
	Snapshot  SnapshotResult   `json:"snapshot"`
	Missing   string           `json:"missing,omitempty"` // datasets of the configuration that this node does not have
	Standbys  []*StandbyResult `json:"standbys"`
	Pruned    []prune.Result   `json:"pruned,omitempty"` // on this node
	Processes map[string]int   `json:"processes"`        // started on this node
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

// StandbyResult is the result on one standby.
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

// ItemResult is the result of one dataset.
type ItemResult struct {
	*plan.Item
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
	Partial bool    `json:"partial,omitempty"` // the next run resumes the stream
	Warning string  `json:"warning,omitempty"` // of a zfs receive that succeeded
	err     error
}

// ok reports whether the dataset is current on the standby.
func (i *ItemResult) ok() bool { return i.Error == "" && !i.Stuck() }

// Counts counts the datasets of all standbys: current ones, and those that failed or
// need the operator.
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

// Err sums up a run: nil, or an error with the run's exit code.
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

// pruned returns the results of pruning on all nodes.
func (r *Result) pruned() []prune.Result {
	all := slices.Clone(r.Pruned)
	for _, s := range r.Standbys {
		all = append(all, s.Pruned...)
	}
	return all
}

// settle sorts the results of several goroutines.
func (r *Result) settle() {
	slices.SortFunc(r.Pruned, func(a, b prune.Result) int { return strings.Compare(a.Dataset, b.Dataset) })
}
