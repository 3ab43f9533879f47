// Package move owns what an operator starts to move the active role, or to end a
// conflict: switchover, drain, drill, resolve.
//
//	switchover.go  hand over to another node without loss
//	drain.go       the same before keepalived stops, within a time
//	drill.go       a switchover there and back; drills.go the past ones
//	resolve.go     end a conflict of two nodes
//	preflight.go   what has to hold on both nodes before a switchover
//	await.go       waiting for another node
//	times.go       how long the parts of a switchover took
//	programs.go    running zfs-replicate here and failover-notify on another node
//
// It must not know how a role is changed: see package failover.
package move
