// Command demo shows the project in a few numbered steps. Two nodes start; a
// pool is replicated, changed and replicated again. A stream is cut and
// resumed, and both nodes are compared. Then applications start, the active
// node loses power, and the standby takes over.
//
// The demo prints what happens. It fails when the two nodes differ, or when an
// application or an acknowledged note does not come back.
package main
