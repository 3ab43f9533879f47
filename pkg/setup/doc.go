// Package setup owns the first setup of a pair: the required settings, the steps on
// both machines in their order, and the steps that remain for the operator.
//
//	answers.go    the settings; detect*.go their detection
//	interview.go  asking for the others; dialog.go the dialog with the operator
//	render.go     the resulting configuration
//	setup.go      from the first contact to the last step
//	preflight.go  checks before the first change
//	plan.go       the order of the steps
//	step.go       running steps, each of which can be repeated
//	files.go      steps that write files; lines.go steps that add lines
//	steps_*.go    the steps; remaining.go the steps for the operator
//
// Content that differs is replaced only with the operator's consent, and a copy is
// saved. This package must not know how a takeover or replication works: it runs the
// programs as the operator would.
package setup
