// Package announce tells people and Prometheus what failover-notify watch sees: each
// change of the role, what is wrong with the node, and its figures. It derives
// all of it from what the watcher has written down, so that nothing it waits for
// holds a change of the role up.
//
// It must not change anything about the node.
package announce
