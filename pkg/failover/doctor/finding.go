package doctor

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity is how bad a finding is.
type Severity string

// The severities. An error makes a failover fail or lose data; a warning makes
// it worse, or may become an error.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Info}, s) }

// Finding is one thing that is not as it should be.
type Finding struct {
	Node     string   `json:"node"`
	Check    string   `json:"check"` // what was looked at: a short word that does not change
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Why      string   `json:"why"` // what comes of it
	Fix      string   `json:"fix"` // what to type, or to do
}

// findings are collected while nodes are judged.
type findings []Finding

// on collects what is found on one node.
func (f *findings) on(node string) func(check string, severity Severity, what, why, fix string) {
	return func(check string, severity Severity, what, why, fix string) {
		one := Finding{Node: node, Check: check, Severity: severity, What: what, Why: why, Fix: fix}
		if !slices.Contains(*f, one) {
			*f = append(*f, one)
		}
	}
}

// sorted are the worst first, those of one node together.
func (f findings) sorted() []Finding {
	list := append([]Finding{}, f...)
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(a.Severity.rank()-b.Severity.rank(), cmp.Compare(a.Node, b.Node))
	})
	return list
}

// add is what findings.on returns.
type add = func(check string, severity Severity, what, why, fix string)

// Count is how many of the findings are of a severity.
func Count(list []Finding, severity Severity) int {
	n := 0
	for _, f := range list {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

// number is "1 error", "2 errors".
func number(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
