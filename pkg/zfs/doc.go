// Package zfs owns typed operations on OpenZFS: listings, snapshots, bookmarks,
// streams and properties, and the parsers for the output of zfs and zpool. It is the
// only importer of go-zfs, which serves the short property calls. Listings and
// streams go through package run: they need deadlines, the fast path of "zfs list"
// and flags that go-zfs lacks.
//
// It must not know about other nodes, roles or plans.
package zfs
