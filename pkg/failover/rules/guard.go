package rules

import (
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// goneAfter is how long keepalived may be gone: a restart is over sooner.
	goneAfter = 2 * time.Second
	// presentAfter and absentAfter are how long the place of the virtual IP may differ
	// from the last hook: hooks take their time. To serve without the virtual IP does
	// little harm, since another node waits until this node has stopped. To turn a
	// promotion round because keepalived was slow does more.
	presentAfter, absentAfter = 3 * time.Second, 10 * time.Second
)

// Guards remembers since when something is not as it should be.
type Guards struct{ gone, absent, present, idle time.Time }

// Since notes when a condition began to hold, and reports whether it has held for
// long enough.
func Since(began *time.Time, holds bool, now time.Time, enough time.Duration) bool {
	if !holds {
		*began = time.Time{}
		return false
	}
	if began.IsZero() {
		*began = now
	}
	return now.Sub(*began) >= enough
}

// Finding is what the watcher sees of keepalived and the virtual IP.
type Finding struct {
	// Keepalived: it runs. Here: the virtual IP is on this machine.
	Keepalived, Here bool
	Requested        state.RequestedRole
	// Own: the request is an operator's, who may well ask for something without
	// keepalived.
	Own bool
	// Idle: this node is an eligible standby, though the request to become active
	// counts as answered. A switchover was killed after it had released everything,
	// and before the virtual IP moved.
	Idle bool
}

// Verdict is the answer to a finding.
type Verdict struct {
	Remove    bool                // take the virtual IP off this machine
	Requested state.RequestedRole // record this request; empty: none
	Again     bool                // even if it is the newest already
	Reason    string
}

// Judge returns the verdict on a finding: keepalived's hooks may be lost, and a
// keepalived that was killed leaves the virtual IP behind.
func (g *Guards) Judge(f Finding, now time.Time) Verdict {
	gone := Since(&g.gone, !f.Keepalived, now, goneAfter)
	absent := Since(&g.absent, f.Keepalived && !f.Here && f.Requested == state.RequestMaster && !f.Own, now, absentAfter)
	present := Since(&g.present, f.Keepalived && f.Here && f.Requested != state.RequestMaster && !f.Own, now, presentAfter)
	idle := Since(&g.idle, f.Keepalived && f.Here && f.Requested == state.RequestMaster && f.Idle, now, presentAfter)
	switch {
	case gone && f.Requested == state.RequestMaster && !f.Own:
		return Verdict{Remove: f.Here, Requested: state.RequestStop, Reason: "keepalived has stopped"}
	case gone && f.Here && f.Requested != state.RequestMaster:
		return Verdict{Remove: true}
	case absent:
		return Verdict{Requested: state.RequestBackup, Reason: "keepalived runs, and the virtual IP is not here"}
	case present:
		return Verdict{Requested: state.RequestMaster, Reason: "keepalived runs, and the virtual IP is here"}
	case idle:
		g.idle = time.Time{}
		return Verdict{Requested: state.RequestMaster, Again: true, Reason: "the virtual IP is here, and nothing serves"}
	}
	return Verdict{}
}
