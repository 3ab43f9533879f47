// Package drill proves the programs on pairs of real nodes: it makes a lab
// with the programs and a pool on each node, breaks things in every way that
// is promised to be harmless, and compares what both sides have afterwards.
//
// A Site is such a pair with services: Compose projects behind Traefik, their
// data in replicated datasets, and a virtual IP that keepalived moves. What
// its nodes and the address do is observed from outside all the time: at no
// moment may two nodes have writable data or running projects, and no write that
// was acknowledged may be lost but by a takeover since the last replication.
//
// The scenarios are tests behind the build tag "drill"; the demo and the
// benchmarks stand on the same pair. The package owns the pair and the
// comparison; it must not know how nodes are made, nor how replication works.
package drill
