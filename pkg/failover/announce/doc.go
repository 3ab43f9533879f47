// Package announce notifies the operator and Prometheus: of each change of the role,
// of the problems of the node, and of its figures. It derives everything from records,
// so that nothing it waits for delays a change of the role.
//
// It must not change anything about the node.
package announce
