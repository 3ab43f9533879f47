// Package command is the command line of image-sync: what cron and people call,
// and what other nodes ask through the gate.
//
// It must not know how anything is fetched.
package command
