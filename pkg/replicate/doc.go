// Package replicate owns the run of the sending node: run.go leads, snapshot.go
// takes the snapshot, standby.go opens a session with each standby and plans,
// transfer.go sends the plan's streams, prune.go applies the retention here,
// records.go remembers the result, status.go reads it back.
//
// The parts below it stand alone: plan decides, prune destroys what expired, session
// carries calls and streams between two nodes and holds the receiver, rejoin brings
// a former active node back.
//
// It must not know how commands are called or how results are printed.
package replicate
