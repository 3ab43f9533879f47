// Package rules owns what a node decides: the states of a node and the ways
// between them, and who may hold the virtual IP. Every rule is pure: it
// gets the facts and returns the consequence.
//
// A node is in one of six states:
//
//	                                  the gate opens, a term is taken
//	                   MASTER         +-----------+    done    +--------+
//	boot  +---------+ --------------> | promoting | ---------> | active |
//	----> | standby |                 +-----------+            +--------+
//	      +---------+ <--+                 |  the gate is closed:  |  BACKUP, STOP, FAULT,
//	         ^  |        |                 |  fault                |  a switchover
//	  BACKUP |  | FAULT  | done            v                       |
//	         |  v        |            +----------+                 |
//	      +-------+      +----------- | demoting | <---------------+
//	      | fault | <---------------- +----------+
//	      +-------+   done, or something is left running or writable
//
// The sixth is unknown: this node has not joined its pair in this boot. It is
// demoted like a node that was active, since nobody knows what the boot started.
//
// The transition table, as states.go holds it. The first row that fits counts:
//
//	from     to       guard        work      via
//	active   active   -            look over active
//	any      active   -            promote   promoting
//	active   standby  handing over hand over demoting
//	standby  standby  stopped      verify    standby
//	standby  fault    stopped      verify    fault
//	fault    standby  stopped      verify    standby
//	fault    fault    stopped      verify    fault
//	any      standby  -            demote    demoting
//	any      fault    -            demote    demoting
//
// The newest request wins, also in the middle of a transition: MASTER turns a
// demotion round, the others a promotion.
//
//	states.go     the states, the transition table, and what a state implies
//	peer.go       what a node says of itself; status.go the parts of its status
//	eligible.go   who may hold the virtual IP
//	gate.go       whether a promotion may continue
//	conflict.go   two active nodes, and whose term counts
//	freshness.go  which of two standbys has the newer data
//	guard.go      keepalived and the virtual IP against the newest request
//	preflight.go  whether a switchover would succeed
//
// It must not know the node: no clock, no files, no network. Times are passed in.
package rules
