// Package session owns the one connection between a sender and a standby's receiver:
//
//	protocol.go, calls.go    the protocol
//	dial.go                  how a receiver is started and reached
//	sender.go, upload.go     the sender's end; its streams
//	receiver.go              the receiver's end: gate.go decides by role and term,
//	                         answers.go carries out the calls, received.go records
//	                         the snapshots that came
//
// The receiver trusts nothing that a sender says. Its own configuration, role and term
// alone decide which datasets may be received, renamed or pruned.
//
// It must not know why a run sends a stream: package plan decides that.
package session
