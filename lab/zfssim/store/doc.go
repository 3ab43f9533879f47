// Package store keeps pools on a machine: their state, the contents of
// snapshots, receives in progress, loaded keys, and the requested faults.
//
// A change is prepared under the store's lock and takes effect with Commit. The
// package must not know command lines or output texts.
package store
