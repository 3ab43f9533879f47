// Command bench measures zfs-replicate on a pair of virtual machines with real
// OpenZFS: against Debian's syncoid, against bare zfs send and receive, and
// against the short script that it replaces; and what a takeover is made of, on
// nodes at native speed with real Docker: keepalived's check against docker
// inspect, its notify script, and the start of projects against a loop. It
// prints a table, and writes it to docs/benchmarks.md when every part was run.
// It exits with 1 when a goal is missed.
//
// Other programs are called as their users call them from cron and keepalived.
// What is compared is measured in one run of the bench, in turns, with the clock
// of the node it runs on, so that a busy host slows all of them down alike.
package main
