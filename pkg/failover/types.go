package failover

import "github.com/understudy-ha/understudy/pkg/failover/rules"

// What a node says of itself: see package rules.
type (
	PeerState         = rules.PeerState
	ServicesStatus    = rules.ServicesStatus
	DataStatus        = rules.DataStatus
	ReplicationStatus = rules.ReplicationStatus
	Sent              = rules.Sent
	Received          = rules.Received
)
