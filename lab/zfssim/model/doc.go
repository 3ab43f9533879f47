// Package model holds pools, datasets, snapshots and bookmarks as values, with the
// rules of OpenZFS that need nothing else: names, properties and their sources,
// numbers, mount points, keys.
//
// It must not know files, streams or command lines.
package model
