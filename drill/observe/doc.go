// Package observe looks at nodes from outside while something happens to them:
// who holds the virtual IP, has writable datasets and runs projects, and
// what answers on the address. Every observation has the two moments, by one
// clock, between which it was true.
//
// It owns both ends, what answers on the node and what asks. It must not know
// the programs that are proven, nor judge what it sees.
package observe
