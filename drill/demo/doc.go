// Command demo shows in a few numbered steps what the project does: two nodes
// come up, a pool is replicated, changed and replicated again, a stream is cut
// and resumed, and both sides are compared; then applications are started, the
// plug of the node that serves is pulled, and the other one takes over.
// Everything it prints is what happened; it fails when the two sides differ, or
// when an application or a note of its clients does not come back.
//
// Run it as root, by make demo. LAB=vm makes everything real.
package main
