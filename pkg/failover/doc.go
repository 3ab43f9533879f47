// Package failover owns what a node is: the requests that keepalived and people
// have (requests), whether the node may hold the floating address (eligibility),
// and the transitions between the roles, which stop and start the services and
// give up and take over the data in the right order.
//
//	node.go        the node and all that a change of its role touches
//	request.go      recording what is asked for
//	eligible.go    who may hold the address
//	peer.go        what nodes say of themselves, and asking them; remote.go
//	               why a command on another node failed
//	reconcile.go   making the node what the newest request asks for
//	transition.go  a transition's steps and their record
//	gate.go        whether a promotion may go on; fresher.go whether another
//	               node has newer data
//	promote.go, demote.go, hook.go
//	lease.go, keep.go  the lease in etcd, and renewing it
//	join.go        the boot
//	watch.go, guard.go  the resident watcher and what it puts right
//	preflight.go, switchover.go, moved.go, drill.go  moves that a person asks for
//	hold.go        a person's word
//	resolve.go     the end of a conflict
//	alert.go, status.go, status_images.go  what a person should know
//
// Nothing here trusts that keepalived's hooks come in order, once, or at all:
// they only record an request, and the newest one wins, also in the middle of a
// transition. All steps can be done again, so a process that was killed is
// followed by one that goes on.
//
// It must not know how data is sent, nor print anything.
package failover
