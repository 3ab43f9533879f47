// Package replicate owns replication: what is to be done (the planner and the
// retention, both pure), how it gets to a standby (one session, many streams),
// what the other end allows (the receiver), and what is remembered of it.
//
// The way of a run: snapshot.go takes the snapshot, session.go opens the
// session, plan.go compares the two inventories, transfer.go carries the plan
// out, prune.go applies retention.go at both ends, record.go remembers the
// result. receiver.go is the other end of session.go; both speak protocol.go.
//
// It must not know how commands are called or how results are printed.
package replicate
