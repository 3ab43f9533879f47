// Package holder owns this node's lease in etcd, where witness.etcd is configured:
// a node is active only while it holds the lease.
//
//	lease.go    Take and Release
//	renewal.go  Renew renews it while this node may write, and steps down in time
//	            when it can't
//	fence.go    makes the datasets read-only right before the lease ends
//
// A nil Holder is that of a node which needs no lease.
//
// It must not know how a node is promoted or demoted: it asks for a demotion by
// recording a request.
package holder
