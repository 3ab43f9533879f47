// Package command is the command line of track-traefik, for keepalived and, with
// --explain, for the operator.
//
// It must not know how anything is checked.
package command
