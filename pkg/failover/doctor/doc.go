// Package doctor owns the question whether a failover would work now, and which data
// is at risk. It gathers the facts of each node, and judges the nodes together.
//
//	facts.go    the facts of one node
//	gather*.go  gathering the facts of this node; places.go where files lie
//	finding.go  a problem, its effect, and its fix
//	judge*.go   from facts to findings: pure, so that tests can plant each fault
//	examine.go  gathering and judging all nodes
//
// It changes nothing, and it must not know how a failover works. Each check has a
// deadline; a check that exceeds it is itself a finding.
package doctor
