// Package hub owns the one process that a running lab is: it lives in network,
// mount and process namespaces of its own, holds the bridges, and is the
// parent of every node (a qemu process, or the first process of a namespace
// node). When it ends, in whatever way, the kernel takes everything down with
// it. The package holds both ends: the server that runs in that process and
// the client through which a lab asks for things.
//
// It must not know what runs inside a node, nor how images are made.
package hub
