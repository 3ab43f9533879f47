// Package command is the command line of failover-notify: what keepalived, the
// boot and the other nodes call, and what a person asks and says.
//
// It must not know how a role is changed.
package command
