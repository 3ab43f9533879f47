package command

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/understudy-ha/understudy/pkg/failover/doctor"
)

func TestFindingsText(t *testing.T) {
	finding := func(node, what string) doctor.Finding {
		return doctor.Finding{Node: node, Check: "x", Severity: doctor.Warning, What: what, Why: "it breaks", Fix: strings.Repeat("word ", 20)}
	}
	got := findingsText([]doctor.Finding{finding("", "both"), finding("a", "one"), finding("b", "one"), finding("b", "two")})
	const want = `WARNING all nodes: both
  why: it breaks
  fix: word word word word word word word word word word word word word word
       word word word word word word

WARNING a, b: one
  why: it breaks
  fix: word word word word word word word word word word word word word word
       word word word word word word

WARNING b: two
  why: it breaks
  fix: word word word word word word word word word word word word word word
       word word word word word word

`
	if got != want {
		t.Errorf("got:\n%s", got)
	}
	for line := range strings.Lines(got) {
		if utf8.RuneCountInString(line) > width+1 {
			t.Errorf("%q is too wide", line)
		}
	}
}
