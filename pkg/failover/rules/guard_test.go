package rules

import (
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

func TestJudge(t *testing.T) {
	start := time.Now()
	for _, c := range []struct {
		name string
		f    Finding
		at   time.Duration // of a second look
		want Verdict
	}{
		{"all is well", Finding{Keepalived: true, Here: true, Requested: state.RequestMaster}, time.Hour, Verdict{}},
		{"a standby", Finding{Keepalived: true, Requested: state.RequestBackup}, time.Hour, Verdict{}},
		{"a restart of keepalived", Finding{Here: true, Requested: state.RequestMaster}, time.Second, Verdict{}},
		{"killed", Finding{Here: true, Requested: state.RequestMaster}, 2 * time.Second, Verdict{Remove: true, Requested: state.RequestStop, Reason: "keepalived has stopped"}},
		{"killed, and the address went", Finding{Requested: state.RequestMaster}, 2 * time.Second, Verdict{Requested: state.RequestStop, Reason: "keepalived has stopped"}},
		{"a stale address on a standby", Finding{Here: true, Requested: state.RequestBackup}, 2 * time.Second, Verdict{Remove: true}},
		{"a stale address after a person's word", Finding{Here: true, Requested: state.RequestStop, Own: true}, 2 * time.Second, Verdict{Remove: true}},
		{"a lost hook of a backup", Finding{Keepalived: true, Requested: state.RequestMaster}, 10 * time.Second, Verdict{Requested: state.RequestBackup, Reason: "keepalived runs, and the virtual IP is not here"}},
		{"a lost hook of a master", Finding{Keepalived: true, Here: true, Requested: state.RequestFault}, 3 * time.Second, Verdict{Requested: state.RequestMaster, Reason: "keepalived runs, and the virtual IP is here"}},
		{"a switchover that was killed", Finding{Keepalived: true, Here: true, Requested: state.RequestMaster, Idle: true}, 3 * time.Second, Verdict{Requested: state.RequestMaster, Again: true, Reason: "the virtual IP is here, and nothing serves"}},
		{"a switchover under way", Finding{Keepalived: true, Here: true, Requested: state.RequestMaster, Idle: true}, 2 * time.Second, Verdict{}},
		{"a person without keepalived", Finding{Requested: state.RequestMaster, Own: true}, time.Hour, Verdict{}},
	} {
		var g Guards
		if got := g.Judge(c.f, start); got != (Verdict{}) {
			t.Errorf("%s: at once %+v", c.name, got)
		}
		if got := g.Judge(c.f, start.Add(c.at)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
