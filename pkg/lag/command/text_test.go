package command

import (
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/lag"
)

// What to do is said once, below all datasets that it is about.
func TestHintsOnce(t *testing.T) {
	bad := func(name, reason, hint string) lag.Dataset {
		return lag.Dataset{Dataset: name, State: lag.Diverged, Level: lag.Critical, Reason: reason, Hint: hint}
	}
	r := &lag.Report{Source: "a", Standbys: []lag.Standby{{Node: "b", Asked: true, Datasets: []lag.Dataset{
		bad("tank/a", "it was written to", "rejoin"), bad("tank/b", "it is not on the standby", "plan"),
		bad("tank/c", "it has a snapshot", "rejoin"), bad("tank/d", "nobody knows", ""),
		{Dataset: "tank/e", State: lag.New, Reason: "not sent yet", Hint: "wait"},
	}}}}
	var b strings.Builder
	if err := writeText(&b, r); err != nil {
		t.Fatal(err)
	}
	want := `tank/a: it was written to
tank/c: it has a snapshot
  hint: rejoin
tank/b: it is not on the standby
  hint: plan
tank/d: nobody knows
`
	if !strings.HasSuffix(b.String(), "\n"+want) {
		t.Errorf("%s\nwant at its end\n%s", b.String(), want)
	}
}
