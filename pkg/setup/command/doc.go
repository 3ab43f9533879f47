// Package command is the command line of a set-up: failover-notify setup, and
// what it starts on the other machine.
//
// It must not know the steps.
package command
