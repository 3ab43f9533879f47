// Package prune owns destroying the snapshots and bookmarks that a retention has
// let expire. Both ends of a session prune: each by its own retention, each on its
// own machine.
//
// It must not know which snapshots expire (package plan does), nor destroy anything
// but snapshots and bookmarks.
package prune
