// Package lag owns what would be lost now: for each dataset and standby the age
// of the newest common snapshot, found by guid, and what was written since.
//
// inventory.go is what a node says of itself; ask.go gets it from the others
// over ssh, and how far their clocks are off; source.go finds the node that
// the others are compared with; judge.go compares; known.go makes do with what
// is remembered where a node does not answer. history.go keeps every
// measurement, graph.go and svg.go draw them.
//
// It changes nothing on any node. It must not know how replication works
// beyond what package replicate says of two inventories, nor who is told.
package lag
