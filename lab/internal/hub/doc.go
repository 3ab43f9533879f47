// Package hub owns the process of a running lab. It lives in network, mount and
// process namespaces of its own, holds the bridges, and is the parent of every
// node: of a qemu process, or of the first process of a namespace node. When it
// ends, the kernel removes everything with it. The package holds both ends, the
// server in that process and the client of a lab.
//
// It must not know the programs inside a node, nor how images are made.
package hub
