// Package report turns what a drill observed into results and shows them: a
// table, and a page of HTML that needs no network.
//
// timeline.go holds the observations of a site and what follows from them: how
// long a takeover took, and whether two nodes could write at once. lanes.go draws
// them as bars. results.go holds the result of a scenario and its file; page.go
// and page.html make the page; scenarios.go describes each scenario in a sentence.
//
// The package owns the report. It must not know labs, nodes or how a scenario is
// run: its observations come from package observe.
package report
