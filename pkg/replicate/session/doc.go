// Package session owns the one connection between a sender and a standby's receiver:
// the protocol (protocol.go, calls.go), how a receiver is started and reached
// (dial.go), the sender's end (sender.go; upload.go for streams) and the receiver
// (receiver.go; gate.go decides by role and term, answers.go carries out the calls,
// received.go remembers what came).
//
// The receiver trusts nothing that a sender says: what may be received, renamed or
// pruned follows from its own config, role and term.
//
// It must not know what a run sends and why: package plan decides that.
package session
