// Package machine owns what a set-up does to a machine: looking at it, starting
// programs on it, reading and replacing its files. This one is reached directly,
// another one through one ssh session as a person has it, at whose other end the
// same code runs (failover-notify setup-node).
//
//	machine.go  what can be done
//	local.go    on this machine; look.go what is found here
//	agent.go    the other end of the session, remote.go this end
//	contact.go  how the session comes about: host keys and ssh
//
// It must not know what a pair is made of, nor ask anybody anything.
package machine
