// Package data owns the ZFS part of taking over: making this node's replicas
// writable and mounted (Promote), giving them up again (Demote), and keeping a
// boot from writing to them before the node knows what it is (Fence). How a
// dataset was before it was given up is remembered in the dataset itself, so
// that any of these can be killed at any point and done again.
//
// Nothing here destroys data: the only thing that is dropped is a stream that
// arrived in part, and only where a whole snapshot of the dataset is here.
//
// It must not know about roles, other nodes, services or keepalived, nor how
// datasets are sent.
package data
