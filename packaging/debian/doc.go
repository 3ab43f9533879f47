// Package debian tests the Debian packages: that they come out the same each
// time, what is in them, and what installing and removing them does to a node.
package debian
