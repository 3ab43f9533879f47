// Package alert owns what an operator should look at although the node continues:
// the kinds of alerts, and how they travel between releases.
//
// It must not know how an alert is found, nor print one.
package alert
