package announce

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/state"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// stopped is a clock that says that it is noon.
type stopped struct{ clock.Clock }

func (stopped) Now() time.Time { return noon }

func newNode(t *testing.T) *self.Records {
	t.Helper()
	dir := t.TempDir()
	records, err := self.Open(&config.Config{StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run")}, config.Node{Name: "b"}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	records.Clock = stopped{clock.System()}
	return records
}

func past(at time.Time, to state.Role, how state.Outcome, err string) state.Past {
	return state.Past{Term: 4, Transition: state.Transition{From: state.RoleStandby, To: to, Reason: "MASTER by keepalived", Started: at.Add(-4 * time.Second), Ended: at, Outcome: how, Error: err,
		Steps: []state.Step{{Name: "mount", Object: "tank/a", Outcome: state.OutcomeDone}, {Name: "start", Object: "blog", Outcome: state.OutcomeFailed, Error: "no image"}}}}
}

// events are the titles of what happened, without the condition.
func events(t *testing.T, teller *teller) []string {
	t.Helper()
	notices, err := teller.Notices(rules.PeerState{Node: "b"})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, n := range notices {
		if n.Key == "" {
			found = append(found, string(n.Level)+": "+n.Title+" | "+strings.Join(n.Text, " | "))
		}
	}
	return found
}

func TestEachChangeIsToldOnce(t *testing.T) {
	node := newNode(t)
	history := []state.Past{past(noon.Add(-time.Hour), state.RoleActive, state.OutcomeDone, "")}
	write := func(more ...state.Past) {
		history = append(history, more...)
		if err := node.State.Write("history", history); err != nil {
			t.Fatal(err)
		}
	}
	write()
	teller := newTeller(node)
	if got := events(t, teller); len(got) > 0 {
		t.Errorf("what was before is told: %v", got)
	}
	write(past(noon.Add(time.Minute), state.RoleStandby, state.OutcomeDone, ""),
		past(noon.Add(2*time.Minute), state.RoleActive, state.OutcomeInterrupted, ""),
		past(noon.Add(3*time.Minute), state.RoleActive, state.OutcomePartial, ""),
		past(noon.Add(4*time.Minute), state.RoleActive, state.OutcomeFailed, "nothing mounts"),
		past(noon.Add(5*time.Minute), state.RoleActive, state.OutcomeFailed, "nothing mounts"))
	want := []string{
		"warning: b is active now (term 4), but not everything runs | MASTER by keepalived, from standby in 4s | start blog: no image",
		"critical: b could not become active | MASTER by keepalived, from standby in 4s | nothing mounts | start blog: no image",
	}
	if got := events(t, teller); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := events(t, teller); len(got) > 0 {
		t.Errorf("told twice: %v", got)
	}
	// A restarted watcher continues where the last one was.
	write(past(noon.Add(6*time.Minute), state.RoleActive, state.OutcomeDone, ""))
	again := newTeller(node)
	if got := events(t, again); len(got) != 1 || !strings.HasPrefix(got[0], "info: b is active now (term 4)") {
		t.Errorf("%v", got)
	}
	// A node that may still write is announced.
	promoted := past(noon.Add(7*time.Minute), state.RoleActive, state.OutcomeDone, "")
	promoted.Steps = append(promoted.Steps, state.Step{Name: rules.AskStep, Object: "a", Outcome: state.OutcomeSkipped, Error: "passed over: it is up"})
	write(promoted)
	if got := events(t, again); len(got) != 1 || !strings.HasPrefix(got[0], "warning: b is active now (term 4)") || !strings.Contains(got[0], "| a was passed over: it is up") {
		t.Errorf("%v", got)
	}
}

func TestConditionOfTheNode(t *testing.T) {
	teller := newTeller(newNode(t))
	for _, test := range []struct {
		name  string
		self  rules.PeerState
		level notify.Level
		wait  time.Duration
		title string
		text  int
	}{
		{"in order", rules.PeerState{Role: state.RoleStandby}, notify.OK, 0, "b is healthy", 0},
		{"held", rules.PeerState{Reasons: []state.Ineligible{{Kind: state.IneligibleHold, Text: "new disks"}}}, notify.OK, 0, "b is healthy", 0},
		{"waits", rules.PeerState{Reasons: []state.Ineligible{{Kind: state.IneligibleWaiting, Text: "for a"}}}, notify.Warning, soonWait, "b can't take over yet: for a", 0},
		{"fault", rules.PeerState{Role: state.RoleFault, Reason: "no ping"}, notify.Warning, faultWait, "b is in fault: no ping", 0},
		{"alerts", rules.PeerState{Alerts: []string{"one", "two"}}, notify.Warning, alertWait, "b: one", 1},
		{"conflict after a warning", rules.PeerState{Role: state.RoleFault, Reason: "x", Alerts: []string{"one"},
			Reasons: []state.Ineligible{{Kind: state.IneligibleReplica, Text: "old"}, {Kind: state.IneligibleConflict, Text: "a is active too"}}},
			notify.Critical, 0, "b can't take over: a is active too", 3},
	} {
		test.self.Node = "b"
		n := teller.condition(test.self)
		if n.Key != "node/b" || n.Level != test.level || n.Wait != test.wait || n.Title != test.title || len(n.Text) != test.text {
			t.Errorf("%s: %+v", test.name, n)
		}
		if n.Level != notify.OK && n.Hint == "" {
			t.Errorf("%s: what is to be done?", test.name)
		}
	}
}
