// Package command is the command line of failover-notify, for the operator,
// keepalived, the boot and the other nodes. Each command has a file of its own: newX
// returns the command, and runX calls the package that does the work and prints the
// result.
//
//	fence, join, watch, reconcile      the boot and the role
//	switchover, drain, drill, resolve  planned moves, and the end of a conflict
//	hold, release                      taking a node out of service
//	status, history, doctor            the state, the past, and checks
//	deliver, test-notification         notifications
//	keepalived                         its configuration
//
// It must not know how a role is changed.
package command
