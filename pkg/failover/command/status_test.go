package command

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/state"
)

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func node(name string, role state.Role, change func(*failover.Status)) failover.NodeStatus {
	s := failover.Status{PeerState: rules.PeerState{Node: name, Role: role, Term: 3, NewestTerm: 3, Since: now.Add(-2 * time.Hour), Time: now}}
	if change != nil {
		change(&s)
	}
	return failover.NodeStatus{Node: name, Status: &s}
}

func silent(name string) failover.NodeStatus {
	return failover.NodeStatus{Node: name, Error: name + " cannot be reached"}
}

func eligibleNow(s *failover.Status) { s.Eligible, s.KeepalivedRuns = true, true }

func TestSummary(t *testing.T) {
	for _, c := range []struct {
		want  string
		nodes []failover.NodeStatus
	}{
		{"a is active, and b is ready to take over", []failover.NodeStatus{node("a", state.RoleActive, eligibleNow), node("b", state.RoleStandby, eligibleNow)}},
		{"a is active, and no other node can take over now", []failover.NodeStatus{node("a", state.RoleActive, eligibleNow), node("b", state.RoleFault, nil)}},
		{"a is active, and no other node can take over now", []failover.NodeStatus{node("a", state.RoleActive, eligibleNow), node("b", state.RoleStandby, func(s *failover.Status) { s.Eligible = true })}},
		{"a is active, and the state of b is unknown", []failover.NodeStatus{node("a", state.RoleActive, nil), silent("b")}},
		{"CONFLICT: a and b are active at the same time", []failover.NodeStatus{node("a", state.RoleActive, nil), node("b", state.RoleActive, nil)}},
		{"no answering node is active, and b is ready to take over", []failover.NodeStatus{silent("a"), node("b", state.RoleStandby, eligibleNow)}},
		{"no node is active, and no node can take over now", []failover.NodeStatus{node("a", state.RoleFault, nil), node("b", state.RoleStandby, nil)}},
		{"a is active", []failover.NodeStatus{node("a", state.RoleActive, nil)}},
		{"a is not active", []failover.NodeStatus{node("a", state.RoleFault, nil)}},
	} {
		if got := summary(c.nodes); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestStatusText(t *testing.T) {
	active := node("primary", state.RoleActive, func(s *failover.Status) {
		s.Eligible, s.KeepalivedRuns, s.HoldsAddress = true, true, true
		s.Transition = &state.Transition{From: state.RoleStandby, To: state.RoleActive, Started: now.Add(-2 * time.Hour), Ended: now.Add(-2*time.Hour + 2300*time.Millisecond), Outcome: state.OutcomePartial, Error: "active, but 1 failed"}
		s.Services = &rules.ServicesStatus{Projects: 3, Running: []string{"traefik", "web"}, Stopped: []string{"media"}, Lame: []string{"web/worker stopped"}}
		s.Data = &rules.DataStatus{Datasets: 5, Writable: 4, Missing: []string{"tank/media"}}
		s.Replication = &rules.ReplicationStatus{Sent: []rules.Sent{{Node: "secondary", LastRun: now.Add(-5 * time.Second), LastSuccess: now.Add(-65 * time.Second), Error: "no route"}}}
	})
	active.Self = true
	standby := node("secondary", state.RoleStandby, func(s *failover.Status) {
		s.Reasons = []state.Ineligible{{Kind: state.IneligibleHold, Text: "held: new disks"}}
		s.Services = &rules.ServicesStatus{Projects: 3, Running: []string{}, MissingImages: []string{"web:2"}}
		s.Data = &rules.DataStatus{Datasets: 5}
		s.Replication = &rules.ReplicationStatus{Received: &rules.Received{From: "primary", At: now.Add(-65 * time.Second)}}
		s.Alerts = []string{"keepalived does not run: this node can't take over or hold the virtual IP"}
	})
	const want = `primary is active, and no other node can take over now

             primary (here)                    secondary
role         active for 2h0m                   standby for 2h0m
term         3                                 3
virtual IP   yes                               no
eligible     yes                               no: held: new disks
last change  standby to active partial in      none since boot
             2.3s: active, but 1 failed
projects     2 of 3 running; stopped: media;   0 of 3 running
             web/worker stopped
images       all present                       1 missing: web:2
datasets     4 of 5 writable; missing:         0 of 5 writable
             tank/media
replication  sent to secondary 1m5s ago,       received from primary 1m5s ago
             failed 5s ago: no route

Needs attention:
- secondary: keepalived does not run: this node can't take over or hold the
  virtual IP
`
	if got := statusText([]failover.NodeStatus{active, standby}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// Both nodes show the conflicts that replication found, and how to end them.
func TestStatusNamesConflicts(t *testing.T) {
	found := map[string]string{"tank/web": "the standby has a snapshot of its own: @x", "tank/db": "it was written to on the standby"}
	replication := &rules.ReplicationStatus{
		Sent:     []rules.Sent{{Node: "b", Conflicts: found}},
		Received: &rules.Received{From: "b", Conflicts: map[string]string{"tank/old": "long over"}},
	}
	for _, c := range []struct {
		role        state.Role
		replication *rules.ReplicationStatus
	}{
		{state.RoleActive, replication},
		{state.RoleStandby, &rules.ReplicationStatus{Sent: []rules.Sent{{Node: "b", Conflicts: map[string]string{"tank/old": "long over"}}}, Received: &rules.Received{From: "b", Conflicts: found}}},
	} {
		n := node("a", c.role, func(s *failover.Status) { s.Replication = c.replication })
		text := strings.Join(strings.Fields(statusText([]failover.NodeStatus{n})), " ")
		rejoin := map[state.Role]string{state.RoleActive: "zfs-replicate rejoin on b", state.RoleStandby: "zfs-replicate rejoin on a"}[c.role]
		for _, want := range []string{"a: conflict with b: both nodes have", "tank/db: it was written to on the standby. tank/web: the standby has a snapshot of its own: @x.", rejoin, "resolve --keep"} {
			if !strings.Contains(text, want) {
				t.Errorf("on a node that is %s, it does not say %q:\n%s", c.role, want, text)
			}
		}
		if strings.Contains(text, "tank/old") {
			t.Errorf("on a node that is %s, it says what is over:\n%s", c.role, text)
		}
	}
}

// A standby with a running project stands out.
func TestServicesOnAStandbyStandOut(t *testing.T) {
	n := node("b", state.RoleStandby, func(s *failover.Status) {
		s.Services = &rules.ServicesStatus{Projects: 2, Running: []string{"web"}, Stopped: []string{"media"}}
	})
	if got := projectsText(n.Status); got != "1 of 2 RUNNING: web" {
		t.Errorf("%q", got)
	}
}

// status shows that notifications are not delivered.
func TestStatusNamesChannelsThatFail(t *testing.T) {
	since := now.Add(-time.Hour)
	for _, c := range []struct {
		health *notify.Health
		row    string
		below  string
	}{
		{nil, "", ""},
		{&notify.Health{Channels: 2}, "to 2 channels", ""},
		{&notify.Health{Channels: 1, Waiting: 3, Oldest: since}, "3 messages waiting for 1h0m", ""},
		{&notify.Health{Problem: "others may read it", Hint: "chmod 0600"}, "not delivered: see below", "no notification is delivered: others may read it: chmod 0600"},
		{&notify.Health{Channels: 2, Failing: []notify.Failing{{Channel: "ntfy (line 1)", Error: "403 Forbidden", Since: since, Times: 4, Waiting: 1}}}, "1 of 2 channels failing: see below",
			"ntfy (line 1) accepts no notifications since " + since.Local().Format(time.DateTime) + " (4 failures in a row): 403 Forbidden; 1 message queued; to try again: failover-notify test-notification"},
	} {
		n := node("b", state.RoleStandby, func(s *failover.Status) { s.Notifications = c.health })
		if got := messagesText(n.Status); got != c.row {
			t.Errorf("%+v: %q, want %q", c.health, got, c.row)
		}
		if got := strings.Join(notificationProblems(n.Status), "|"); got != c.below {
			t.Errorf("%+v: %q, want %q", c.health, got, c.below)
		}
		text := strings.Join(strings.Fields(statusText([]failover.NodeStatus{n})), " ")
		if !strings.Contains(text, c.row) || !strings.Contains(text, c.below) {
			t.Errorf("%+v: not in\n%s", c.health, text)
		}
	}
}

// status shows the findings of image-sync with their age.
func TestStatusSaysWhatImageSyncFound(t *testing.T) {
	since := now.Add(-2 * time.Hour)
	missing := []failover.MissingImage{
		{Ref: "web:2", Digest: "sha256:0123456789abcdef", WantedSince: since, Why: "no such manifest"},
		{Ref: "db:1", ID: "sha256:fedcba9876543210", HereID: "sha256:1", WantedSince: since},
	}
	at := since.Local().Format(time.DateTime)
	for _, c := range []struct {
		images     *failover.ImagesStatus
		row, below string
	}{
		{nil, "", ""},
		{&failover.ImagesStatus{Never: true}, "never ran", ""},
		{&failover.ImagesStatus{Error: "read images.json: EOF"}, "read images.json: EOF", ""},
		{&failover.ImagesStatus{Time: now.Add(-3 * time.Minute), LastSuccess: now.Add(-3 * time.Minute), Active: "a"}, "ran 3m0s ago, following a", ""},
		{&failover.ImagesStatus{Time: now.Add(-3 * time.Minute), Active: "a", Missing: missing, Problems: []string{"project x: no file"}}, "ran 3m0s ago, following a, incomplete",
			"image web:2 missing since " + at + " (sha256:0123456789ab, running on a): no such manifest|image db:1 out of date since " + at + " (sha256:fedcba987654, running on a)|project x: no file"},
	} {
		n := node("b", state.RoleStandby, func(s *failover.Status) { s.Images = c.images })
		if got := imageSyncText(n.Status); got != c.row {
			t.Errorf("%+v: %q, want %q", c.images, got, c.row)
		}
		if got := strings.Join(imageProblems(n.Status), "|"); got != c.below {
			t.Errorf("%+v: %q, want %q", c.images, got, c.below)
		}
	}
}

// No line is wider than a terminal, and no character is lost.
func TestColumnsFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zäö€/. -]{0,300}`)
		row := []string{"label", text.Draw(t, "a"), text.Draw(t, "b")}
		out := columns([][]string{row})
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Fatalf("%d characters: %q", n, line)
			}
		}
		bare := strings.NewReplacer(" ", "", "\n", "")
		if got, want := len(bare.Replace(out)), len(bare.Replace(strings.Join(row, ""))); want > len("label") && got != want {
			t.Fatalf("%d bytes of %d are left: %q", got, want, out)
		}
	})
}
