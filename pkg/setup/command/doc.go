// Package command is the command line of a setup: failover-notify setup, and
// setup-node, which it runs on the other machine.
//
// It must not know the steps.
package command
