// Package notify owns who is told of what, and when. A program that has
// something to say puts a Notice into a folder, which takes a file and no
// network, and goes on; the sender, one at a time on a node, decides what of it
// people are told (once, on change, on recovery, seldom again) and hands the
// messages to the channels.
//
// notice.go and spool.go are the programs' side; sender.go leads, condition.go
// is what is told of a problem that lasts, outbox.go keeps messages until every
// channel has them. How a channel is spoken to is in package deliver, which the
// other programs need not carry. heartbeat.go tells a service such as
// healthchecks.io that a scheduled program has run.
//
// It must not know what the notices mean.
package notify
