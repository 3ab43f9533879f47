// Command bench measures zfs-replicate on a pair of virtual machines with real
// OpenZFS: against Debian's syncoid, against bare zfs send and receive, and
// against the short script that it replaces. On nodes at native speed with real
// Docker it measures the parts of a takeover: keepalived's check against docker
// inspect, the notify script, and the start of projects against a loop. It
// prints a table. When every part was run, it writes the table to
// docs/benchmarks.md. It exits with 1 when a goal is missed.
package main
