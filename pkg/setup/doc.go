// Package setup owns the first set-up of a pair: what has to be known, in which
// order what is made on which of the two machines, and what is left for a person.
//
//	answers.go    what has to be known; find*.go what is found by looking
//	interview.go  asking for the rest, talk.go how people are spoken to
//	write.go      the configuration that comes of it
//	setup.go      from the first contact to the last step
//	step.go       doing steps, each of which can be repeated
//	files.go      steps that write files, lines.go those that add to them
//	steps_*.go    the steps; left.go what is done by hand
//
// Nothing that is there and differs is replaced without a person's consent, and
// a copy stays. It must not know how a takeover works, nor how replication does:
// it calls the programs as a person would.
package setup
