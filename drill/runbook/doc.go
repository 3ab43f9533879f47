// Package runbook reads the pages of docs/runbooks the way the drill runs them:
// the commands of a page are fenced blocks that say on which node a person types
// them, and what comes out is a block with a pattern below.
//
//	```sh on=standby
//	failover-notify status
//	```
//	```output
//	secondary is active, and primary can't be asked
//	…
//	```
//
// After sh there may stand:
//
//	on=NODE     needed: active, standby, third, or a node's name
//	exit=N      the exit code that is right; 0 without it
//	repeat      a person repeats it until the output is as shown
//	when=CASE   only in this case; the page says in words what it is
//
// Blocks of other languages are for readers; shell is one of them, for what
// nodes without systemd can't show.
//
// A comment <!-- drill: NAME --> stands where a person does something with their
// hands, such as switching a server on.
//
// In a pattern … stands for any text of a line, and a line of … alone for any
// number of lines. Times, durations and sizes match any other ones, since pages
// show what once was printed; all other figures have to be the same.
//
// The package owns the form of pages; it must not know nodes, nor what the
// commands mean.
package runbook
