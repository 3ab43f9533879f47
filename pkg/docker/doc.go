// Package docker owns the Docker Engine of this machine: asking over its
// socket what runs, stopping and killing containers, and killing them through
// their cgroups when the engine does not answer.
//
// It must not know what a project is for, or which ones are ours. It speaks
// HTTP over the socket by itself: track-traefik runs every second, and the
// engine's own client would cost more than all the rest of it.
package docker
