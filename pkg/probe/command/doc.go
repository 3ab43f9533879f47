// Package command is the command line of track-traefik: what keepalived calls,
// and what a person asks why.
//
// It must not know how anything is checked.
package command
