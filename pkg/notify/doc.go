// Package notify owns what the operator is notified of, and when. A program with
// something to report puts a Notice into a folder, which takes a file and no
// network, and continues. The sender, one at a time on a node, decides which
// notices become messages (once, on change, on recovery, seldom again) and hands
// them to the channels.
//
// notice.go and spool.go are the programs' side; sender.go leads, condition.go
// follows a lasting problem, outbox.go keeps messages until every channel has
// them. How a channel is spoken to is in package deliver, which the
// other programs need not carry. heartbeat.go tells a service such as
// healthchecks.io that a scheduled program has run.
//
// It must not know what the notices mean.
package notify
