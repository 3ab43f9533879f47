// Package metrics owns the names and meanings of all metrics of the toolkit,
// and the files in which node_exporter's textfile collector finds them: one for
// each program, so that each family stands in one file only. docs/metrics.md is
// made from the same table.
//
// It must not know where the figures come from.
package metrics
