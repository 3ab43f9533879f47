package rules

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/state"
)

var (
	roles    = []state.Role{unknown, active, standby, promoting, demoting, fault}
	requests = []state.RequestedRole{state.RequestMaster, state.RequestBackup, state.RequestFault, state.RequestStop}
)

// doc.go shows the table as the node uses it.
func TestDocShowsTheTable(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, row := range table() {
		from := "any"
		if len(row.From) == 1 {
			from = row.From[0].String()
		}
		want += strings.TrimRight(fmt.Sprintf("//\t%-8s %-8s %-12s %-9s %s", from, row.To, row.Guard, row.Work, row.Via), " ") + "\n"
	}
	if !strings.Contains(string(doc), want) {
		t.Errorf("doc.go does not show:\n%s", want)
	}
}

// Each request leads somewhere from each state, and each result of its work is a
// state from which the next request leads on.
func TestEachRequestLeadsOn(t *testing.T) {
	for _, from := range roles {
		for _, request := range requests {
			for _, guard := range []Guard{Always, Stopped} {
				way := Next(from, Target(request), guard)
				if way.To != Target(request) || way.Work == "" || !slices.Contains(way.From, from) {
					t.Errorf("%s, %s: %+v", from, request, way)
				}
				for _, result := range []Result{Done, Refused, Failed, Interrupted} {
					if end := way.Ends(result); !slices.Contains(roles[1:], end) {
						t.Errorf("%s, %s, %s: ends as %s", from, request, result, end)
					}
				}
			}
		}
	}
}

func TestTransitions(t *testing.T) {
	for _, c := range []struct {
		from   state.Role
		to     state.Role
		guard  Guard
		work   Work
		result Result
		end    state.Role
	}{
		{standby, active, Stopped, Promote, Done, active},
		{standby, active, Stopped, Promote, Refused, fault},
		{standby, active, Stopped, Promote, Failed, demoting},
		{standby, active, Stopped, Promote, Interrupted, promoting},
		{active, active, Stopped, LookOver, Done, active},
		{active, active, Stopped, LookOver, Failed, demoting},
		{active, standby, HandingOver, HandOver, Done, standby},
		{active, standby, HandingOver, HandOver, Failed, demoting},
		{active, standby, Stopped, Demote, Interrupted, demoting},
		{demoting, active, Stopped, Promote, Done, active},
		{promoting, fault, Stopped, Demote, Done, fault},
		{unknown, standby, Stopped, Demote, Failed, fault},
		{fault, standby, Stopped, Verify, Done, standby},
		{fault, standby, Always, Demote, Done, standby},
		{standby, fault, Stopped, Verify, Interrupted, fault},
	} {
		way := Next(c.from, c.to, c.guard)
		if way.Work != c.work || way.Ends(c.result) != c.end {
			t.Errorf("from %s to %s (%s): %s ends as %s when %s, want %s as %s", c.from, c.to, c.guard, way.Work, way.Ends(c.result), c.result, c.work, c.end)
		}
	}
}

func TestWhatARoleImplies(t *testing.T) {
	left := state.RoleFile{Role: fault, Transition: &state.Transition{To: standby, Outcome: state.OutcomeFailed}}
	refused := state.RoleFile{Role: fault, Transition: &state.Transition{To: active, Outcome: state.OutcomeFailed}}
	if !Unfinished(left, "") || !Writes(left, "") || GuardOf(left, "") != Always {
		t.Error("a demotion that left something behind counts as finished")
	}
	if Unfinished(refused, "") || Writes(refused, "") || !PromotionFailed(refused) || GuardOf(refused, "") != Stopped {
		t.Error("a refused promotion counts as a demotion that left something behind")
	}
	early := state.RoleFile{Role: promoting, Term: 3, ActiveTerm: 2}
	if Writes(early, "") {
		t.Error("a promotion writes before it has its term")
	}
	early.ActiveTerm = 3
	if !Writes(early, "") {
		t.Error("a promotion with its term does not write")
	}
	if crashed := (state.RoleFile{Role: active, Boot: "before"}); !Crashed(crashed, "now") || Crashed(crashed, "before") {
		t.Error("an active node of an earlier boot has not crashed")
	}
}
