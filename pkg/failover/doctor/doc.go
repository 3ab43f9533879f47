// Package doctor owns the question whether a failover would work right now, and
// what would be lost by it: it gathers what is so on each node, and judges the
// nodes together.
//
//	facts.go   what is known of one node
//	gather*.go looking at this node; places.go where files lie
//	finding.go what is wrong, why that matters, and what to type
//	judge*.go  facts in, findings out: pure, so that each fault can be planted
//	examine.go both nodes, judged
//
// Nothing is changed by it. Each look at something outside has a deadline, and
// what does not answer in time is a finding itself.
package doctor
