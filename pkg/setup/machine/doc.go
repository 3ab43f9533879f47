// Package machine owns the access of a setup to a machine: inspecting it, running
// programs, reading and replacing files. This machine is accessed directly, another
// through one ssh session of the operator, at whose other end the same code runs
// (failover-notify setup-node).
//
//	machine.go  the interface
//	local.go    this machine; inspect.go its facts
//	agent.go    the other end of the session; remote.go this end
//	contact.go  opening the session: host keys and ssh
//
// It must not know what makes a pair, or ask the operator anything.
package machine
