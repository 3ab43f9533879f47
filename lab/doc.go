// Package lab makes small networks of real nodes, on which the claims of this
// project are proven. Nodes can be started and stopped, lose power or their
// network, freeze, and have their clock set.
//
// Two kinds of node share one interface: namespaces on this machine (everything
// real but ZFS) and QEMU virtual machines (everything real). No network leads
// out of a lab, and nothing of a lab survives the process that made it.
//
// The package owns the nodes and their network. It must not know the programs
// under test.
package lab
