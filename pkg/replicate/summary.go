package replicate

import (
	"fmt"
	"strings"
)

// Summary is a run that is not complete: its failures in one line. Its exit code is 3
// if a part is done, 76 if everything was refused, else 1 or that of the only standby's
// failure.
type Summary struct {
	result *Result
	code   int
	cause  error
}

func (s *Summary) Error() string {
	var down []string
	var bad []*ItemResult
	total := 0
	for _, standby := range s.result.Standbys {
		if standby.Error != "" {
			down = append(down, standby.Error)
		}
		for _, item := range standby.Items {
			total++
			if !item.ok() && (item.Error == "" || item.Error != standby.Error) {
				bad = append(bad, item)
			}
		}
	}
	var parts []string
	for _, err := range []error{s.result.missing, s.result.Snapshot.err} {
		if err != nil {
			parts = append(parts, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	parts = append(parts, down...)
	switch {
	case len(bad) == 1:
		parts = append(parts, bad[0].problem())
	case len(bad) > 1:
		parts = append(parts, fmt.Sprintf("%d of %d datasets are not replicated; the first: %s", len(bad), total, bad[0].problem()))
	}
	for _, p := range s.result.pruned() {
		if p.Error != "" {
			parts = append(parts, fmt.Sprintf("prune %s: %s", p.Dataset, p.Error))
			break
		}
	}
	return strings.Join(parts, "; ")
}

// problem names the dataset and its problem.
func (i *ItemResult) problem() string {
	name := i.Source
	if name == "" {
		name = i.Target
	}
	if i.Error != "" {
		return name + ": " + i.Error
	}
	return fmt.Sprintf("%s: %s: %s", name, i.Action, i.Reason)
}

// Unwrap returns the cause, for its type.
func (s *Summary) Unwrap() error { return s.cause }

// ExitCode is 3, 76, or that of the cause.
func (s *Summary) ExitCode() int { return s.code }

// Hint returns the hint of the first failure that has one.
func (s *Summary) Hint() string {
	for _, standby := range s.result.Standbys {
		if standby.Hint != "" {
			return standby.Hint
		}
		for _, item := range standby.Items {
			if !item.ok() && item.Hint != "" {
				return item.Hint
			}
		}
	}
	if s.cause != nil { // it has its own
		return ""
	}
	return "'zfs-replicate status' shows each dataset"
}
