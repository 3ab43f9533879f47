// Package data owns the ZFS part of a takeover. Promote makes this node's replicas
// writable and mounts them, Demote releases them again, and Fence makes them
// read-only at boot until the node knows its role. A released dataset stores its
// earlier properties in a user property of its own, so that each of these can be
// killed at any point and repeated.
//
// Nothing here destroys data. Promote drops a partial receive, and only if the
// dataset has a complete snapshot; DropPromotionSnapshots destroys snapshots that
// equal an older one.
//
// It must not know about roles, other nodes, services, keepalived, or how
// datasets are sent.
package data
