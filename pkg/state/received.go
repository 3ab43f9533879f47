package state

import "time"

// ReceivedName is the state name of what a standby has received.
const ReceivedName = "received"

// Received is what received.json holds: what came here, and from whom. The
// receiver of zfs-replicate writes it.
type Received struct {
	From string    `json:"from"`
	At   time.Time `json:"at"`
	// Term is the newest one under which a sender has left every dataset
	// current here: up to it, this node's history is that of the pair.
	Term     uint64                     `json:"term,omitempty"`
	Datasets map[string]ReceivedDataset `json:"datasets"` // by name on the standby
	// Conflicts are the datasets that the last run could not bring up to date,
	// since both nodes have unreplicated changes: dataset → what they are.
	Conflicts map[string]string `json:"conflicts,omitempty"`
}

// ReceivedDataset is the newest snapshot that came for one dataset.
type ReceivedDataset struct {
	Snapshot string    `json:"snapshot"`
	GUID     uint64    `json:"guid,string"`
	At       time.Time `json:"at"`
	// From is the node that sent it, and TXG the transaction group of its pool in
	// which it took the snapshot: of two standbys, the one with the higher number
	// has the newer data. 0: unknown.
	From string `json:"from,omitempty"`
	TXG  uint64 `json:"txg,omitempty"`
}

// Received returns what this node has received; found is false before anything has come.
func (d *Dir) Received() (r Received, found bool, err error) {
	found, err = d.Read(ReceivedName, &r)
	return r, found, err
}
