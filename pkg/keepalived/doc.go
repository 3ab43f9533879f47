// Package keepalived owns what these programs know of keepalived: the
// configuration that a node needs, what is dangerous in one that is installed,
// whether keepalived runs, and whether the virtual IP is on this machine.
//
// render.go writes a configuration; parse.go reads one as keepalived does,
// check.go and its companions compare the two; process.go and address.go look
// at the machine.
//
// It must not know what a node does when its role changes, or why.
package keepalived
