package failover

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/holder"
)

// LeaseStatus is what etcd says from a node of the lease.
type LeaseStatus struct {
	// Holder is the node that has it, under Term; "" when nobody has.
	Holder string `json:"holder,omitempty"`
	Term   uint64 `json:"term,omitempty"`
	// Stopping says that the holder is giving it up.
	Stopping bool `json:"stopping,omitempty"`
	// Left is how many seconds it lasts unless it is renewed: on the holder as it
	// counts itself, elsewhere as etcd says.
	Left  float64 `json:"left_seconds,omitempty"`
	Error string  `json:"error,omitempty"` // what kept it from being told
}

// leaseStatus asks etcd who has the lease; nil where none is needed.
func (n *Node) leaseStatus(ctx context.Context) *LeaseStatus {
	if n.Lease == nil {
		return nil
	}
	var s LeaseStatus
	current, _, err := n.Lease.Current(ctx)
	if err != nil {
		s.Error = err.Error()
	}
	s.Holder, s.Term, s.Stopping = current.Node, current.Term, current.Stopping
	left := current.Left
	if own := n.Lease.Left(); own != holder.Ever {
		left = max(own, 0)
	}
	s.Left = left.Round(time.Second).Seconds()
	return &s
}
