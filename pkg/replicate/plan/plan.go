package plan

import (
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Action is what a plan does with one dataset.
type Action string

// The actions. The last five send nothing.
const (
	Full        Action = "full"        // the target does not exist: everything
	Incremental Action = "incremental" // what was written since the common snapshot
	Resume      Action = "resume"      // the rest of a stream that broke off, then the rest
	Current     Action = "current"     // nothing to send
	Container   Action = "container"   // a standby's own pool root: its content lies below
	Conflict    Action = "conflict"    // the target was written to
	Refused     Action = "refused"     // it can't be sent without losing something
	Skipped     Action = "skipped"     // it needs another dataset that failed
	Orphan      Action = "orphan"      // only on the standby: kept
)

// DefaultFlags are the send flags of a new replica: large blocks, compressed
// blocks and embedded data go as they lie on disk.
const DefaultFlags = "Lce"

// flagsForEncrypted are those of a plain dataset that becomes encrypted on the
// standby: OpenZFS refuses embedded data there.
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

// Item is what happens to one dataset.
type Item struct {
	Source     string   `json:"source,omitempty"`
	Target     string   `json:"target"`
	Type       zfs.Type `json:"type"`
	Action     Action   `json:"action"`
	Reason     string   `json:"reason,omitempty"`
	Hint       string   `json:"hint,omitempty"`
	RenameFrom string   `json:"rename_from,omitempty"` // its name on the standby until now
	DropToken  bool     `json:"drop_token,omitempty"`  // a partial receive is of no use any more
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

// Sends says whether the item has streams.
func (i *Item) Sends() bool { return len(i.Streams) > 0 }

// Stuck says whether the item needs a person.
func (i *Item) Stuck() bool {
	return i.Action == Conflict || i.Action == Refused || i.Action == Skipped
}

// Plan is what a run does on one standby, parents before children.
type Plan struct {
	Items []*Item `json:"items"`
}

// Input is all that a plan depends on.
type Input struct {
	Scope  Scope
	Source []zfs.Dataset
	Target []zfs.Dataset
	// Tokens are the resume tokens of the targets, decoded. One that is
	// missing here is stale.
	Tokens map[string]zfs.Token
	// Touched are the guids of targets that are known to hold more than their newest
	// snapshot does, however little ZFS counts as written.
	Touched map[zfs.GUID]bool
	// Local says that the standby is another pool of this machine, which can't
	// rejoin by itself.
	Local bool
}

// Make compares two inventories. It looks at guids and createtxgs, never
// at the names or times of snapshots, and its cost is linear in their number.
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
