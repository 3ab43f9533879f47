// Package plan owns what replication decides: which datasets go where (scope.go,
// direction.go), what a run does on a standby (plan.go; planner.go for one dataset,
// full.go for a target that does not exist yet, update.go for one that does), how
// two nodes compare (compare.go), and which snapshots stay (retention.go).
//
// It is pure: the same inventories give the same plan. It must not start a program,
// open a file, ask another node or read a clock.
package plan
