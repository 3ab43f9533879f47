// Package notify owns what the operator is notified of, and when. A program writes a
// Notice into a folder, without using the network, and continues. The sender, one
// process at a time on a node, decides which notices become messages (once, on
// change, on recovery, and as rare reminders), and sends them to the channels.
//
//	notice.go, spool.go  the programs' side
//	sender.go            from notices to messages
//	condition.go         a lasting problem
//	outbox.go            messages that a channel has not accepted yet
//	health.go            the state of the channels
//	secret.go            files with secrets
//	flush.go             starting the sender
//	heartbeat.go         ping URLs of services such as healthchecks.io
//
// Package deliver speaks to the channels, so that the other programs need not link
// their library.
//
// It must not know what the notices mean.
package notify
