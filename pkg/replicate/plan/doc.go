// Package plan owns the decisions of replication:
//
//	scope.go, direction.go    which datasets go where
//	plan.go                   the plan of a run on one standby
//	planner.go                the plan of one dataset: full.go where its target does
//	                          not exist yet, update.go where it does
//	compare.go                how two nodes differ
//	retention.go              which snapshots stay
//
// It is pure: the same inventories give the same plan. It must not start a program,
// open a file, ask another node or read a clock.
package plan
