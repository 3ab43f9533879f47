package self_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/alert"
	"github.com/understudy-ha/understudy/pkg/failover/failovertest"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// An engine that is silent for a moment is no alert, and neither is what a check said
// that no longer runs.
func TestEngineAlert(t *testing.T) {
	f := failovertest.New(t)
	for _, c := range []struct {
		age, silent time.Duration
		want        bool
	}{
		{0, 0, false}, {0, 9 * time.Second, false}, {0, 11 * time.Second, true}, {time.Minute, time.Hour, false},
	} {
		record := state.Probe{Time: f.Now().Add(-c.age)}
		if c.silent > 0 {
			record.EngineSilent = record.Time.Add(-c.silent)
		}
		if err := f.RunDir.Write(state.ProbeName, record); err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(kinds(f.Alerts()), string(alert.Engine)); got != c.want {
			t.Errorf("silent for %s as of %s ago: alert %v", c.silent, c.age, got)
		}
	}
}

// An engine that refuses the calls is no silent one, and a restart does not help.
func TestEngineRefusesAlert(t *testing.T) {
	f := failovertest.New(t)
	if err := f.RunDir.Write(state.ProbeName, state.Probe{Time: f.Now(), EngineSilent: f.Now().Add(-time.Minute), EngineRefuses: "it says no: upgrade it"}); err != nil {
		t.Fatal(err)
	}
	found := f.Alerts()
	i := slices.IndexFunc(found, func(a alert.Alert) bool { return a.Kind == alert.EngineRefuses })
	if i < 0 || !strings.Contains(found[i].Text, "it says no: upgrade it") || slices.Contains(kinds(found), string(alert.Engine)) {
		t.Errorf("%+v", found)
	}
}

// Releases before alerts had kinds send and read texts only.
func TestAlertsBetweenReleases(t *testing.T) {
	f := failovertest.New(t)
	described, err := f.Describe()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(described)
	if err != nil {
		t.Fatal(err)
	}
	var older struct {
		Alerts []string `json:"alerts"`
	}
	if err := json.Unmarshal(text, &older); err != nil {
		t.Fatal(err)
	}
	want := "the watcher does not run: nothing corrects what keepalived's hooks miss: systemctl start understudy"
	if !slices.Contains(older.Alerts, want) {
		t.Errorf("an older release reads %q", older.Alerts)
	}
	var newer rules.PeerState
	if err := json.Unmarshal(text, &newer); err != nil {
		t.Fatal(err)
	}
	if got := newer.AlertList(); !slices.Contains(kinds(got), string(alert.WatcherStopped)) || len(got) != len(older.Alerts) {
		t.Errorf("this release reads %+v", got)
	}
	var fromOlder rules.PeerState
	if err := json.Unmarshal([]byte(`{"alerts": ["something"]}`), &fromOlder); err != nil {
		t.Fatal(err)
	}
	if got := fromOlder.AlertList(); len(got) != 1 || got[0] != (alert.Alert{Text: "something"}) {
		t.Errorf("of an older release it reads %+v", got)
	}
}
