// Package watch owns the resident daemon of a node, failover-notify watch: it
// follows requests at once and corrects what keepalived's hooks miss.
//
//	watcher.go   the loop: the role follows the newest request
//	changes.go   noticing that a record has changed
//	lookout.go   each second: keepalived, the virtual IP, the heartbeat, alerts
//	chores.go    while nothing is requested: leftovers, revived containers, asking
//	             the other nodes
//	conflict.go  what an active node does about another one
//
// It must not know how a role is changed: see package failover.
package watch
