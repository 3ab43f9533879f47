package plan

import (
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Action is a plan's decision on one dataset.
type Action string

// The actions. The last five send nothing.
const (
	Full        Action = "full"        // the target does not exist: send everything
	Incremental Action = "incremental" // send the changes since the common snapshot
	Resume      Action = "resume"      // send the rest of an interrupted stream, then the newer snapshots
	Current     Action = "current"     // nothing to send
	Container   Action = "container"   // a standby's own pool root: its content is below it
	Conflict    Action = "conflict"    // the target has unreplicated changes
	Refused     Action = "refused"     // it can't be sent without a loss
	Skipped     Action = "skipped"     // it needs another dataset that failed
	Orphan      Action = "orphan"      // only on the standby: it stays
)

// DefaultFlags are the send flags of a new replica: large blocks, compressed
// blocks and embedded data go as they lie on disk.
const DefaultFlags = "Lce"

// flagsForEncrypted are the send flags of a plain dataset that becomes encrypted on
// the standby, where OpenZFS refuses embedded data.
const flagsForEncrypted = "Lc"

// Stream is one "zfs send" of an item. Names are full.
type Stream struct {
	From     string   `json:"from,omitempty"` // snapshot, bookmark or a clone's origin; "" is everything
	To       string   `json:"to"`
	ToGUID   zfs.GUID `json:"to_guid"`
	All      bool     `json:"all,omitempty"`    // with all snapshots between
	Origin   string   `json:"origin,omitempty"` // of a clone, as it is called on the standby
	Token    string   `json:"-"`                // resumes
	Received int64    `json:"received,omitempty"`
	Bytes    int64    `json:"bytes"` // estimate; 0 is unknown
}

// Item is the plan of one dataset.
type Item struct {
	Source     string   `json:"source,omitempty"`
	Target     string   `json:"target"`
	Type       zfs.Type `json:"type"`
	Action     Action   `json:"action"`
	Reason     string   `json:"reason,omitempty"`
	Hint       string   `json:"hint,omitempty"`
	RenameFrom string   `json:"rename_from,omitempty"` // its name on the standby until now
	DropToken  bool     `json:"drop_token,omitempty"`  // the partial receive can't be resumed
	Streams    []Stream `json:"streams,omitempty"`
	Common     string   `json:"common,omitempty"` // newest common snapshot or bookmark, name only
	CommonGUID zfs.GUID `json:"common_guid,omitempty"`
	Goal       string   `json:"goal,omitempty"` // newest snapshot of the source, name only
	GoalGUID   zfs.GUID `json:"goal_guid,omitempty"`
	Flags      string   `json:"flags,omitempty"`   // of zfs send: letters of -L -c -e
	Raw        bool     `json:"raw,omitempty"`     // encrypted: sent as it lies on disk
	Needs      []string `json:"needs,omitempty"`   // sources that must have been sent first
	Contain    bool     `json:"contain,omitempty"` // the standby's pool root becomes a container
	RenameGUID zfs.GUID `json:"-"`                 // of the dataset to rename
}

// Sends reports whether the item has streams.
func (i *Item) Sends() bool { return len(i.Streams) > 0 }

// Stuck reports whether the item needs the operator.
func (i *Item) Stuck() bool {
	return i.Action == Conflict || i.Action == Refused || i.Action == Skipped
}

// Plan is the work of a run on one standby, parents before children.
type Plan struct {
	Items []*Item `json:"items"`
}

// Input is everything that a plan depends on.
type Input struct {
	Scope  Scope
	Source []zfs.Dataset
	Target []zfs.Dataset
	// Tokens are the decoded resume tokens of the targets. A token that is missing
	// here is stale.
	Tokens map[string]zfs.Token
	// Touched are the guids of targets that are known to differ from their newest
	// snapshot, however few bytes ZFS counts as written.
	Touched map[zfs.GUID]bool
	// Local: the standby is another pool of this machine, which can't rejoin.
	Local bool
}

// Make compares two inventories by the guids and createtxgs of the snapshots, never by
// their names or times. Its cost is linear in their number.
func Make(in Input) Plan {
	p := newPlanner(in)
	for _, s := range in.Source {
		p.item(s.Name)
	}
	for _, s := range in.Source {
		if item := p.items[s.Name]; item != nil {
			p.plan.Items = append(p.plan.Items, item)
		}
	}
	p.orphans()
	return p.plan
}
