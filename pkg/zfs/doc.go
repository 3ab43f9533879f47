// Package zfs owns typed operations on OpenZFS: listings, snapshots,
// bookmarks, streams and properties, and the parsing of what zfs and zpool
// print. It is the only importer of go-zfs, which serves the short property
// calls; listings and streams go through package run, since they need
// deadlines, the fast path of "zfs list" and flags that go-zfs lacks.
//
// It must not know about other nodes, roles or plans.
package zfs
