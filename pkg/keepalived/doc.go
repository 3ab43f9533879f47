// Package keepalived owns the knowledge about keepalived: the configuration that a node
// needs, dangerous differences in an installed one, whether keepalived runs, and
// whether this machine has the virtual IP.
//
//	render.go   the required configuration
//	parse.go    parsing a configuration as keepalived does
//	check*.go   comparing the two
//	process.go  keepalived's processes
//	address.go  the virtual IP on this machine
//
// It must not know what a node does when its role changes, or why.
package keepalived
