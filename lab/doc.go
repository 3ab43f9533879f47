// Package lab makes small networks of real nodes in which everything the
// project claims is proven: nodes that can be started and stopped, lose their
// power or their network, freeze, and have their clock set.
//
// There are two kinds of node behind one interface: namespaces on this
// machine (everything real but ZFS) and QEMU virtual machines (everything
// real). Nothing in a lab reaches a network outside it, and everything of a
// lab is gone when the process that made it ends, in whatever way.
//
// The package owns the nodes and their network; it must not know the programs
// that are proven in it.
package lab
