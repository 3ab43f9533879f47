// Package store keeps pools on a machine: their state, the contents of snapshots,
// receives that are under way, loaded keys, and the faults asked for.
//
// A change is prepared under the store's lock and takes effect with Commit. The
// package must not know command lines or what is printed.
package store
