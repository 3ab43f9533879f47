package session

import (
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/prune"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// The calls, by the value of "op".
const (
	opHello     = "hello"
	opInventory = "inventory"
	opReceive   = "receive"
	opRename    = "rename"
	opAbort     = "abort"
	opContain   = "contain"
	opPrune     = "prune"
	opBye       = "bye"
)

// call is the first line of a yamux stream. A receiver refuses fields that the
// call does not have.
type call interface {
	op() string
	// readOnly reports whether the call changes nothing: in a dry run only these
	// are allowed.
	readOnly() bool
}

// operation names the call in its line.
type operation struct {
	Op string `json:"op"`
}

func (o operation) op() string { return o.Op }

func (operation) readOnly() bool { return false }

// newCall returns an empty call, or nil for an unknown operation.
func newCall(op string) call {
	switch op {
	case opHello:
		return &Hello{}
	case opInventory:
		return &inventoryCall{}
	case opReceive:
		return &Receive{}
	case opRename:
		return &renameCall{}
	case opAbort:
		return &abortCall{}
	case opContain:
		return &containCall{}
	case opPrune:
		return &pruneCall{}
	case opBye:
		return &byeCall{}
	}
	return nil
}

// Hello introduces the sender; it is the first call. The reply is a helloReply.
type Hello struct {
	operation
	Version int        `json:"version,omitempty"`
	Release string     `json:"release,omitempty"`
	Node    string     `json:"node,omitempty"`
	Role    state.Role `json:"role,omitempty"`
	Term    uint64     `json:"term,omitempty"`
	DryRun  bool       `json:"dry_run,omitempty"` // the session changes nothing
}

// inventoryCall lists datasets of the standby. The reply is an inventoryLine for
// each, and a last one with End.
type inventoryCall struct {
	operation
	Roots []zfs.Root `json:"roots,omitempty"`
}

func (inventoryCall) readOnly() bool { return true }

// Receive is followed by a stream, up to the end of this direction. The reply is an
// ack.
type Receive struct {
	operation
	Dataset  string            `json:"dataset,omitempty"`
	Type     zfs.Type          `json:"type,omitempty"`
	GUID     zfs.GUID          `json:"guid,omitempty"`     // of the snapshot with which the stream ends
	Snapshot string            `json:"snapshot,omitempty"` // its name after the @
	TXG      uint64            `json:"txg,omitempty"`      // the sender's transaction group that took it
	Origin   string            `json:"origin,omitempty"`   // of a clone, full name on the standby
	Flags    string            `json:"flags,omitempty"`    // letters of zfs send -L -c -e
	Compress string            `json:"compress,omitempty"` // zstd, or nothing
	Set      map[string]string `json:"set,omitempty"`      // properties
}

// renameCall follows a rename on the source. The reply is an ack.
type renameCall struct {
	operation
	Dataset string   `json:"dataset,omitempty"`
	Type    zfs.Type `json:"type,omitempty"`
	To      string   `json:"to,omitempty"`
	GUID    zfs.GUID `json:"guid,omitempty"` // that the dataset must have
}

// abortCall drops a partial receive. The reply is an ack.
type abortCall struct {
	operation
	Dataset string `json:"dataset,omitempty"`
}

// containCall makes a pool's root a container. The reply is an ack.
type containCall struct {
	operation
	Dataset string            `json:"dataset,omitempty"`
	Set     map[string]string `json:"set,omitempty"` // properties to hand down
}

// pruneCall applies the receiver's own retention. The reply is a pruneReply.
type pruneCall struct {
	operation
	Protect map[string]zfs.GUID `json:"protect,omitempty"` // dataset → its newest common snapshot
	DryRun  bool                `json:"dry_run,omitempty"`
}

func (p pruneCall) readOnly() bool { return p.DryRun }

// byeCall ends a run. The reply is a byeReply.
type byeCall struct {
	operation
	Complete bool `json:"complete,omitempty"` // every dataset of the configuration is current on the standby
	// Conflicts are the datasets on which both nodes have unreplicated changes:
	// dataset on the standby → the reason.
	Conflicts map[string]string `json:"conflicts,omitempty"`
}

func (byeCall) readOnly() bool { return true }

// ack is part of every reply: the failure, if there is one.
type ack struct {
	Failure *RemoteError `json:"failure,omitempty"`
	Warning string       `json:"warning,omitempty"` // done, but not all of it as requested
}

func (a ack) err() error {
	if a.Failure == nil {
		return nil
	}
	return a.Failure
}

type helloReply struct {
	ack
	Version int        `json:"version"`
	Release string     `json:"release"`
	Node    string     `json:"node"`
	Role    state.Role `json:"role"`
	Term    uint64     `json:"term"`
	ZFS     string     `json:"zfs,omitempty"`
	Time    time.Time  `json:"time"`
}

// inventoryLine is one dataset, or more snapshots of the dataset before.
type inventoryLine struct {
	ack
	Dataset *zfs.Dataset `json:"dataset,omitempty"`
	Snaps   []zfs.Snap   `json:"snaps,omitempty"`
	End     bool         `json:"end,omitempty"`
}

type pruneReply struct {
	ack
	Pruned []prune.Result `json:"pruned,omitempty"`
}

type byeReply struct {
	ack
	Processes map[string]int `json:"processes"` // started for the session, by program
}
