package failover

import (
	"fmt"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// yieldFor is how long a node leaves the address to another one, which has
	// newer data or to which it is being handed. By then that one is active, or
	// something keeps it from it.
	yieldFor = 20 * time.Second
	// yieldAgain is how long after that it takes the address itself whoever has
	// newer data.
	yieldAgain = 5 * time.Minute
	// yieldedName is the state name of when that was.
	yieldedName = "yielded"
)

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

// replica reads what replication has recorded; nil where nothing has come.
func (n *Node) replica() *Replica {
	var r Replica
	if found, err := n.State.Read("received", &r); err != nil || !found {
		return nil
	}
	return &r
}

// newerThan says whether r has something that other lacks, and lacks nothing that
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

// yielded is when this node has last left the address to another one.
type yielded struct {
	To   string    `json:"to"`
	Boot string    `json:"boot"`
	Time time.Time `json:"time"`
}

// yieldTo refuses a promotion in favour of another node: one to which the address
// is being handed, or one that has newer data. peer is what one of the others has
// said; nil where nothing speaks for it. A person's word comes first.
func (n *Node) yieldTo(peer PeerState, role state.RoleFile, request state.Request) error {
	if !n.Address.Configured() || request.Source == state.SourceOperator {
		return nil
	}
	if to := peer.handsTo(); to != "" && to != n.Self.Name {
		return yielding(to, fmt.Sprintf("%s is handing over to %s", peer.Node, to))
	}
	own := n.replica()
	// Of one that was active since it has received, the record says nothing.
	pure := role.ActiveTerm <= own.term() && peer.ActiveTerm <= peer.Replica.term()
	if !n.Data.Configured() || !pure || !peer.couldServe() || !peer.Replica.newerThan(own) {
		return nil
	}
	// A node that does not take the address must not keep everything from being
	// served.
	var last yielded
	found, err := n.State.Read(yieldedName, &last)
	if err != nil || found && last.Boot == n.Boot && n.Now().Sub(last.Time) < yieldAgain {
		n.Log.Warn().Err(err).Str("node", peer.Node).Msg("becoming active with older data than that node has, which has not taken over")
		return nil
	}
	if err := n.State.Write(yieldedName, yielded{peer.Node, n.Boot, n.Now()}); err != nil {
		return err
	}
	return yielding(peer.Node, peer.Node+" has newer data, and may hold the floating address")
}

func yielding(to, why string) error {
	return &RefusedError{state.IneligibleYield, why, fmt.Sprintf("%s takes over; if it does not within %.0f s, this node may", to, yieldFor.Seconds())}
}

func (r *Replica) term() uint64 {
	if r == nil {
		return 0
	}
	return r.Term
}

// handsTo is the node to which p has handed over a moment ago.
func (p PeerState) handsTo() string {
	i := slices.IndexFunc(p.Reasons, func(r state.Ineligible) bool { return r.Kind == state.IneligibleHandover })
	if i < 0 {
		return ""
	}
	return p.Reasons[i].Node
}

// couldServe says whether a standby would become active when it is left the
// address.
func (p PeerState) couldServe() bool {
	return p.Role == state.RoleStandby && p.Eligible && p.Contends
}
