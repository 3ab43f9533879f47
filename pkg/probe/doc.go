// Package probe owns the check that keepalived runs on each node every second: does the
// active node serve, could another node serve.
//
//	probe.go   running the checks, and the verdict
//	checks.go  Traefik, its image and the Docker Engine
//	inside.go  a Traefik whose engine is dead
//	node.go    the node itself: lease, hold, pools
//	record.go  the record of a run for the other programs
//
// It must not change anything but that record, start a process, or exceed its context:
// a check without an answer has failed. It must not know what keepalived does with the
// verdict.
package probe
