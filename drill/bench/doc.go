// Command bench measures zfs-replicate on a pair of virtual machines with real
// OpenZFS: against Debian's syncoid, against bare zfs send and receive, and
// against the short script that it replaces. It prints a table, and writes it
// to docs/benchmarks.md when every part was run. It exits with 1 when a goal is
// missed.
//
// Other programs are called as their users call them from cron. What is
// compared is measured in one run of the bench, in turns, with the clock of the
// sending node, so that a busy host slows all of them down alike.
package main
