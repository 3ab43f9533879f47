// Package testengine owns how a Docker Engine treats versions of its API, for tests:
// which it accepts, and in which words it refuses the others.
//
// It must not know what is asked under a version: that is the handler's.
package testengine
