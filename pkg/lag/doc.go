// Package lag owns the exposure, the data at risk now: for each dataset and standby
// the age of the newest common snapshot, found by guid, and the bytes written since.
//
// inventory.go is a node's view of itself. ask.go gets it from the others over ssh,
// with the offset of their clocks. source.go finds the node that the others are
// compared with; judge.go compares; known.go uses the last known figures where a
// node does not answer. history.go keeps every measurement, graph.go and svg.go
// draw them.
//
// It changes nothing on any node. It must not know how replication works
// beyond what package replicate says of two inventories, nor who is notified.
package lag
