// Package state owns the state folder: this node's role and terms, the locks
// that keep two programs from doing the same work at once, and small JSON
// files that are replaced as a whole and survive a power cut.
//
// It must not know what the roles are for: it decides nothing, starts no
// program and reads no configuration. The folder is given to it.
//
// Layout, everything directly in the folder:
//
//	role.json      what this node is, its term, the newest term seen anywhere
//	NAME.json      whatever a program keeps under NAME; one writer, under a lock
//	NAME.lock      flock(2)ed while NAME is being worked on; never removed
package state
