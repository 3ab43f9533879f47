// Package probe owns the check that keepalived runs on each node every second:
// does an active node serve, could another one serve.
//
// probe.go leads and decides; checks.go looks at Traefik, its image and the engine,
// inside.go at a Traefik whose engine is dead, node.go at the node itself; record.go
// leaves what was found for the other programs.
//
// It must not change anything but that record, start no process, and never take
// longer than its context: what does not answer has failed. It must not know
// what keepalived does with the verdict.
package probe
