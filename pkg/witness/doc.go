// Package witness asks hosts that are none of the nodes, such as the router,
// whether they answer: a node that reaches none of them is cut off itself, and
// must not conclude that the other node is gone.
//
// It must not know what a role is, or what follows from an answer.
package witness
