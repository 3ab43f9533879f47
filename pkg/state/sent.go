package state

import "time"

// SentName is the state name of what a node has sent.
const SentName = "replication"

// Sent is what replication.json holds: how sending to each standby went. The
// sender of zfs-replicate writes it.
type Sent struct {
	Standbys map[string]*SentStandby `json:"standbys"` // by node
}

// SentStandby is the state of one standby, as of the last runs to it.
type SentStandby struct {
	LastRun     time.Time               `json:"last_run"`
	LastSuccess time.Time               `json:"last_success,omitzero"`
	Error       string                  `json:"error,omitempty"` // of the session as a whole
	Datasets    map[string]*SentDataset `json:"datasets"`        // by name on the source
}

// SentDataset is the state of one dataset on one standby.
type SentDataset struct {
	Target string    `json:"target"`
	Common string    `json:"common,omitempty"` // newest common snapshot, name only
	GUID   uint64    `json:"guid,string,omitempty"`
	At     time.Time `json:"at,omitzero"` // when that snapshot became common
	Action string    `json:"action"`      // of the last run: one of the planner's
	Error  string    `json:"error,omitempty"`
	// Partial: a stream broke off and can be resumed.
	Partial bool `json:"partial,omitempty"`
}

// SentConflict is the action of a dataset on which both nodes have unreplicated changes.
const SentConflict = "conflict"

// Conflicts returns the datasets in conflict, by name on the source, with their errors.
func (s *SentStandby) Conflicts() map[string]string {
	var conflicts map[string]string
	for name, d := range s.Datasets {
		if d.Action != SentConflict {
			continue
		}
		if conflicts == nil {
			conflicts = map[string]string{}
		}
		conflicts[name] = d.Error
	}
	return conflicts
}

// Sent returns how sending went; found is false before the first run.
func (d *Dir) Sent() (s Sent, found bool, err error) {
	found, err = d.Read(SentName, &s)
	return s, found, err
}
