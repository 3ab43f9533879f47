// Package replicate owns the run of the sending node:
//
//	run.go         leads
//	snapshot.go    takes the snapshot
//	standby.go     opens a session with each standby, and plans
//	transfer.go    sends the plan's streams
//	prune.go       applies the retention on this node
//	records.go     records the result, which status.go reads
//
// The packages below it stand alone. plan decides. session carries calls and streams
// between two nodes, and holds the receiver. prune destroys expired snapshots. rejoin
// turns a former active node back into a standby.
//
// It must not know how commands are called or how results are printed.
package replicate
