// Package drill proves the programs on pairs of real nodes. It makes a lab with
// the programs and a pool on each node, breaks things in every way that must be
// harmless, and compares both nodes afterwards.
//
// A Site is such a pair with services: Compose projects behind Traefik, their
// data in replicated datasets, and a virtual IP that keepalived moves. The
// nodes and the virtual IP are observed from outside all the time. At no moment
// may two nodes have writable data or running projects. Only a takeover may
// lose acknowledged writes, and only those since the last replication.
//
// The scenarios are tests behind the build tag "drill"; the demo and the
// benchmarks use the same pair. The package owns the pair and the comparison.
// It must not know how nodes are made, nor how replication works.
package drill
