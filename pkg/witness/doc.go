// Package witness asks hosts outside the pair, such as the router, for an answer. A
// node that reaches none of them is isolated itself, and must not conclude that the
// other node is off.
//
// It must not know what a role is, or what an answer leads to.
package witness
