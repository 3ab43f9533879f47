package doctor

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity is the severity of a finding.
type Severity string

// The severities. An error makes a failover fail or lose data; a warning makes
// it worse, or may become an error.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Info}, s) }

// Finding is one problem, with its effect and its fix.
type Finding struct {
	Node     string   `json:"node"`
	Check    string   `json:"check"` // short name of the check, which does not change
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Why      string   `json:"why"` // the effect
	Fix      string   `json:"fix"` // a command, or an instruction
}

// findings collects findings while nodes are judged.
type findings []Finding

// on returns a function that adds a finding about a node.
func (f *findings) on(node string) func(check string, severity Severity, what, why, fix string) {
	return func(check string, severity Severity, what, why, fix string) {
		one := Finding{Node: node, Check: check, Severity: severity, What: what, Why: why, Fix: fix}
		if !slices.Contains(*f, one) {
			*f = append(*f, one)
		}
	}
}

// sorted returns the findings by severity and node.
func (f findings) sorted() []Finding {
	list := append([]Finding{}, f...)
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(a.Severity.rank()-b.Severity.rank(), cmp.Compare(a.Node, b.Node))
	})
	return list
}

// add adds a finding: see findings.on.
type add = func(check string, severity Severity, what, why, fix string)

// Count returns the number of findings of a severity.
func Count(list []Finding, severity Severity) int {
	n := 0
	for _, f := range list {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

// number returns a number with its noun: "1 error", "2 errors".
func number(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
