// Package drill proves the programs on pairs of real nodes: it makes a lab
// with the programs and a pool on each node, breaks things in every way that
// is promised to be harmless, and compares what both sides have afterwards.
//
// The scenarios are tests behind the build tag "drill"; the demo and the
// benchmarks stand on the same pair. The package owns the pair and the
// comparison; it must not know how nodes are made, nor how replication works.
package drill
