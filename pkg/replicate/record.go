package replicate

import (
	"maps"
	"slices"
	"time"
)

// Names of the records in the state folder.
const (
	recordName   = "replication"
	receivedName = "received"
)

// Record is what the sending node remembers of its runs.
type Record struct {
	Standbys map[string]*StandbyRecord `json:"standbys"`
}

// StandbyRecord is the state of one standby, as of its last runs.
type StandbyRecord struct {
	LastRun     time.Time                 `json:"last_run"`
	LastSuccess time.Time                 `json:"last_success,omitzero"`
	Error       string                    `json:"error,omitempty"` // of the session as a whole
	Datasets    map[string]*DatasetRecord `json:"datasets"`        // by name on the source
}

// DatasetRecord is the state of one dataset on one standby.
type DatasetRecord struct {
	Target  string    `json:"target"`
	Common  string    `json:"common,omitempty"` // newest common snapshot, name only
	GUID    uint64    `json:"guid,string,omitempty"`
	At      time.Time `json:"at,omitzero"` // when that snapshot became common
	Action  Action    `json:"action"`      // of the last run
	Error   string    `json:"error,omitempty"`
	Partial bool      `json:"partial,omitempty"` // a stream broke off and can be resumed
}

// ReceivedRecord is what a standby remembers of what came.
type ReceivedRecord struct {
	From string    `json:"from"`
	At   time.Time `json:"at"`
	// Term is the newest one under which a sender has left every dataset
	// current here: up to it, this node's history is that of the pair.
	Term     uint64              `json:"term,omitempty"`
	Datasets map[string]Received `json:"datasets"` // by name on the standby
	// Conflicts are the datasets that the last run could not bring up to date,
	// since both nodes have something of their own: dataset → what.
	Conflicts map[string]string `json:"conflicts,omitempty"`
}

// Received is the newest snapshot that came for one dataset.
type Received struct {
	Snapshot string    `json:"snapshot"`
	GUID     uint64    `json:"guid,string"`
	At       time.Time `json:"at"`
	// From is the node that sent it, and TXG the number of its pool's change in
	// which it took it: of two standbys, the one with the higher number has the
	// newer data. 0: not known.
	From string `json:"from,omitempty"`
	TXG  uint64 `json:"txg,omitempty"`
}

func (r *Record) standby(name string) *StandbyRecord {
	if r.Standbys == nil {
		r.Standbys = map[string]*StandbyRecord{}
	}
	if r.Standbys[name] == nil {
		r.Standbys[name] = &StandbyRecord{}
	}
	if r.Standbys[name].Datasets == nil {
		r.Standbys[name].Datasets = map[string]*DatasetRecord{}
	}
	return r.Standbys[name]
}

// protected are the guids that pruning on the source must leave: of each
// dataset, the newest common snapshot with each of the standbys, and 0 where one
// of them is not known to have any.
func (r *Record) protected(standbys []string) map[string]map[uint64]bool {
	guids := map[string]map[uint64]bool{}
	for _, name := range standbys {
		for source, d := range r.standby(name).Datasets {
			if guids[source] == nil {
				guids[source] = map[uint64]bool{}
			}
			guids[source][d.GUID] = true
		}
	}
	for source, known := range guids {
		for _, name := range standbys {
			if r.Standbys[name].Datasets[source] == nil {
				known[0] = true
			}
		}
	}
	return guids
}

// note enters a standby's result into the record. Datasets that a whole run
// did not meet any more are forgotten.
func (e *Engine) note(record *Record, result *StandbyResult, whole bool) {
	now := e.Now().UTC()
	standby := record.standby(result.Node)
	if whole && len(result.Items) > 0 {
		maps.DeleteFunc(standby.Datasets, func(source string, _ *DatasetRecord) bool {
			return !slices.ContainsFunc(result.Items, func(i *ItemResult) bool { return i.Source == source })
		})
	}
	standby.LastRun, standby.Error = now, result.Error
	good := result.Error == ""
	for _, item := range result.Items {
		if item.Source == "" {
			continue
		}
		good = good && item.ok()
		d := standby.Datasets[item.Source]
		if d == nil {
			d = &DatasetRecord{}
			standby.Datasets[item.Source] = d
		}
		d.Target, d.Action, d.Error, d.Partial = item.Target, item.Action, item.Error, item.Partial
		if item.Stuck() {
			d.Error = item.Reason
		}
		if item.CommonGUID != 0 {
			if d.GUID != item.CommonGUID || item.ok() {
				d.At = now
			}
			d.Common, d.GUID = item.Common, item.CommonGUID
		}
	}
	if good {
		standby.LastSuccess = now
	}
}
