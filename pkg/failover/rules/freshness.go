package rules

import (
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// YieldAgain is how long after a node has left the virtual IP to another one it
// takes it itself, whoever has newer data.
const YieldAgain = 5 * time.Minute

// Replica is how new the data is that a standby has received.
type Replica struct {
	// Term is the newest one under which all of it has come.
	Term uint64 `json:"term"`
	// Datasets are by the name on the standby.
	Datasets map[string]ReplicaOf `json:"datasets,omitempty"`
}

// ReplicaOf is the newest snapshot of one dataset, by the number of the sender's
// pool, which grows with each.
type ReplicaOf struct {
	From string `json:"from,omitempty"`
	TXG  uint64 `json:"txg,omitempty"`
}

// NewReplica returns the age of the received data.
func NewReplica(r state.Received) *Replica {
	replica := &Replica{Term: r.Term}
	for name, d := range r.Datasets {
		if replica.Datasets == nil {
			replica.Datasets = map[string]ReplicaOf{}
		}
		replica.Datasets[name] = ReplicaOf{From: d.From, TXG: d.TXG}
	}
	return replica
}

// newerThan reports whether r has something that other lacks, and lacks nothing that
// other has.
func (r *Replica) newerThan(other *Replica) bool {
	switch {
	case r == nil:
		return false
	case other == nil:
		return len(r.Datasets) > 0
	case r.Term != other.Term:
		return r.Term > other.Term
	}
	newer := false
	for name, here := range r.Datasets {
		there, both := other.Datasets[name]
		switch {
		case !both:
			newer = true
		case here.From != there.From:
			// What different nodes have sent can't be compared.
		case here.TXG < there.TXG:
			return false
		case here.TXG > there.TXG:
			newer = true
		}
	}
	for name := range other.Datasets {
		if _, both := r.Datasets[name]; !both {
			return false
		}
	}
	return newer
}

func (r *Replica) term() uint64 {
	if r == nil {
		return 0
	}
	return r.Term
}

// Fresher reports whether a peer has newer data than this node and would become
// active. Of a node that was active since it last received, its record says
// nothing, so neither counts then.
func Fresher(peer PeerState, self state.RoleFile, own *Replica) bool {
	onlyReceived := self.ActiveTerm <= own.term() && peer.ActiveTerm <= peer.Replica.term()
	return onlyReceived && peer.CouldServe() && peer.Replica.newerThan(own)
}

// YieldsTo returns the refusal of a promotion in favour of another node.
func YieldsTo(node, why string) *RefusedError {
	return &RefusedError{state.IneligibleYield, why, fmt.Sprintf("%s takes over; if it does not within %.0f s, this node may", node, YieldFor.Seconds())}
}
