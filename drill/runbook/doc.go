// Package runbook reads the pages of docs/runbooks as the drill runs them. The
// commands of a page are fenced blocks that name their node. A block below holds
// the pattern of their output.
//
//	```sh on=standby
//	failover-notify status
//	```
//	```output
//	secondary is active, and primary can't be asked
//	…
//	```
//
// These options follow sh:
//
//	on=NODE     required: active, standby, third, or a node's name
//	exit=N      the expected exit code; 0 by default
//	repeat      the operator repeats it until the output matches
//	when=CASE   only in this case, which the page describes
//
// Blocks of other languages are for readers. One of them is shell, for commands
// that nodes without systemd do not have.
//
// A comment <!-- drill: NAME --> marks manual work, such as switching a server on.
//
// In a pattern … stands for any text of a line, and a line of … alone for any
// number of lines. Times, durations and sizes match any others; all other numbers
// must be equal.
//
// The package owns the form of pages. It must not know nodes, nor the meaning of
// the commands.
package runbook
