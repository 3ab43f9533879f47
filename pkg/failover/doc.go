// Package failover owns the change of a node's role. It follows the newest request:
// it stops or starts the services and releases or takes over the data, in the right
// order. Package rules decides, this package acts.
//
//	node.go        the node and all that a change of its role touches
//	reconcile.go   the newest request, the transition table, the way it leads
//	transition.go  a transition's steps and their record
//	promote.go     becoming active; gate.go whether a promotion may continue
//	demote.go      becoming a standby, or one in fault
//	handover.go    a demotion whose unreplicated changes go to a successor first
//	join.go        the boot
//	weigh.go       what the other nodes' answers change: the term, the eligibility
//	answers.go     asking the other nodes; peer.go, remote.go how
//	hold.go        the operator's decision
//	status.go      what the operator should know
//	hook.go        the owner's own commands
//
// Nothing here trusts that keepalived's hooks come in order, once, or at all. They
// only record a request, and the newest one wins, also in the middle of a transition. All steps can be repeated, so a process that was killed is followed
// by one that continues.
//
// It must not know how data is sent, nor print anything.
package failover
