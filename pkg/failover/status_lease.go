package failover

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/holder"
)

// LeaseStatus is the lease as etcd reports it to a node.
type LeaseStatus struct {
	// Holder is the node that holds it, under Term; "" when none does.
	Holder string `json:"holder,omitempty"`
	Term   uint64 `json:"term,omitempty"`
	// Stopping: the holder is about to release it.
	Stopping bool `json:"stopping,omitempty"`
	// Left is the time in seconds until it expires: on the holder by its own count,
	// elsewhere as etcd reports.
	Left  float64 `json:"left_seconds,omitempty"`
	Error string  `json:"error,omitempty"` // what kept it from being told
}

// leaseStatus asks etcd who holds the lease; nil where none is needed.
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
