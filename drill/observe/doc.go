// Package observe watches nodes from outside: who holds the virtual IP, has
// writable datasets and runs projects, and what answers at the virtual IP.
// Every observation carries the two moments, by one clock, between which it was
// true.
//
// It owns both ends: the answer on the node and the question. It must not know
// the programs under test, nor judge what it observes.
package observe
