package lag

import (
	"time"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Report is what lag-check has found. Lags are seconds, sizes bytes.
type Report struct {
	Node string    `json:"node"` // who looked
	At   time.Time `json:"at"`
	// Source is the node whose data the others are compared with: the active
	// one, or the one that was active last. Empty: not known.
	Source string `json:"source,omitempty"`
	Level  Level  `json:"level"`
	// Problems are those of the pair, not of one standby.
	Problems []Problem `json:"problems,omitempty"`
	Standbys []Standby `json:"standbys"`
	// Told are the problems that other nodes have told people of, by key.
	Told map[string]string `json:"-"`
}

// Problem is something that needs attention.
type Problem struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

// Standby is what one node has of the source's data.
type Standby struct {
	Node string `json:"node"`
	// Asked says that both the source and this node answered. If not,
	// Error says why, and the figures are what was known last, at AsOf.
	Asked bool      `json:"asked"`
	Error string    `json:"error,omitempty"`
	AsOf  time.Time `json:"as_of,omitzero"`
	Level Level     `json:"level"`
	// LagSeconds is the largest of the datasets, and ExposureBytes their sum;
	// both are the exposure. BytesKnown is false when it is more.
	LagSeconds    float64 `json:"lag_seconds"`
	ExposureBytes int64   `json:"exposure_bytes"`
	BytesKnown    bool    `json:"bytes_known"`
	// ClockSeconds is how far the other node's clock is ahead of this node's.
	ClockSeconds float64   `json:"clock_seconds"`
	Datasets     []Dataset `json:"datasets"`
}

// State is what one dataset is on a standby.
type State string

// The states.
const (
	InSync   State = "in sync"         // nothing was written since the common snapshot
	Behind   State = "behind"          // something was
	New      State = "new"             // younger than the limit, and not sent yet
	Missing  State = "missing"         // not on the standby
	Diverged State = "diverged"        // the standby has what the source has not
	Other    State = "unknown history" // no common snapshot: another history
	Unsure   State = "unknown"         // the node was not asked, and nothing is remembered
	Excluded State = "excluded"        // by the configuration
	Orphan   State = "orphan"          // only on the standby
)

// Dataset is one dataset on one standby.
type Dataset struct {
	Dataset    string    `json:"dataset"`
	Target     string    `json:"target,omitempty"`
	State      State     `json:"state"`
	Level      Level     `json:"level"`
	Common     string    `json:"common,omitempty"` // newest common snapshot, name only
	CommonGUID zfs.GUID  `json:"common_guid,omitempty"`
	CommonAt   time.Time `json:"common_at,omitzero"` // by this node's clock
	// AgeSeconds is the age of that snapshot; LagSeconds is the same when
	// something was written since, and else 0.
	AgeSeconds    float64 `json:"age_seconds"`
	LagSeconds    float64 `json:"lag_seconds"`
	ExposureBytes int64   `json:"exposure_bytes"`
	BytesKnown    bool    `json:"bytes_known"`
	// Partial says that a stream broke off and can be resumed.
	Partial bool   `json:"partial,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// counts reports whether the dataset is one that should be on the standby.
func (d Dataset) counts() bool { return d.State != Excluded && d.State != Orphan }

// Count returns how many datasets should be on the standby, and how many of
// them are not as they should be.
func (s Standby) Count() (all, bad int) {
	for _, d := range s.Datasets {
		if d.counts() {
			all++
			if d.Level != OK {
				bad++
			}
		}
	}
	return all, bad
}

// Worst returns the dataset that needs attention first, if there is any: the one
// of the worst level, and among those the one with the largest lag.
func (s Standby) Worst() (Dataset, bool) {
	var worst Dataset
	found := false
	for _, d := range s.Datasets {
		switch {
		case !d.counts():
		case !found, d.Level != worst.Level && d.Level.Worse(worst.Level) == d.Level, d.Level == worst.Level && d.LagSeconds > worst.LagSeconds:
			worst, found = d, true
		}
	}
	return worst, found
}

// sum fills in what follows from the datasets.
func (s *Standby) sum() {
	s.LagSeconds, s.ExposureBytes, s.BytesKnown = 0, 0, true
	for _, d := range s.Datasets {
		if !d.counts() {
			continue
		}
		s.LagSeconds = max(s.LagSeconds, d.LagSeconds)
		s.ExposureBytes += d.ExposureBytes
		s.BytesKnown = s.BytesKnown && d.BytesKnown
		s.Level = s.Level.Worse(d.Level)
	}
}

// sum fills in the report's level.
func (r *Report) sum() {
	for _, p := range r.Problems {
		r.Level = r.Level.Worse(p.Level)
	}
	for _, s := range r.Standbys {
		r.Level = r.Level.Worse(s.Level)
	}
}
