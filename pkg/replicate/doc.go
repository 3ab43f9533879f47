// Package replicate owns replication: what is to be done (the planner and the
// retention, both pure), how it gets to a standby (one session, many streams),
// what the other end allows (the receiver), and what is remembered of it.
//
// The way of a run: run.go leads, snapshot.go takes the snapshot, standby.go
// opens a session with each standby (session.go), planner.go compares the two
// inventories and makes a plan (plan.go; planner_full.go for a target that is not
// there yet, planner_update.go for one that is), transfer.go carries it out, prune.go
// applies retention.go at both ends, record.go remembers the result.
// receiver.go and calls.go are the other end; both speak protocol.go.
//
// The way back of a node that was active: rejoin.go leads, inventory.go asks the
// active node, survey.go finds what is only here, prepare.go and place.go see that
// it can be kept and where, keep.go keeps it; kept.go and files.go show it.
//
// It must not know how commands are called or how results are printed.
package replicate
