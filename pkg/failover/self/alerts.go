package self

import (
	"path/filepath"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/alert"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// probeSilence is how old the check's record may be: keepalived runs it every
// second.
const probeSilence = 10 * time.Second

// Alerts returns what an operator should look at, though the node may continue.
// keepalived takes a check that it can't run for a success, so nothing else would
// report it.
func (r *Records) Alerts() []alert.Alert {
	role, err := r.State.Role()
	if err != nil {
		return []alert.Alert{{Kind: alert.State, Text: err.Error()}}
	}
	var alerts []alert.Alert
	if rules.Unfinished(role, r.Boot) {
		alerts = append(alerts, alert.Alert{Kind: alert.Leftover, Text: "something may still be written here: " + role.Reason})
	}
	for _, look := range []func() (alert.Alert, bool){r.addressAlert, r.engineAlert, r.watcherAlert} {
		if a, found := look(); found {
			alerts = append(alerts, a)
		}
	}
	return alerts
}

// addressAlert looks at keepalived and its check.
func (r *Records) addressAlert() (alert.Alert, bool) {
	if !r.Address.Configured() {
		return alert.Alert{}, false
	}
	kept, err := r.Address.KeepalivedRuns()
	if err != nil {
		return alert.Alert{Kind: alert.Address, Text: err.Error()}, true
	}
	if !kept {
		return alert.Alert{Kind: alert.Keepalived, Text: "keepalived does not run: this node can't take over or hold the virtual IP"}, true
	}
	program := filepath.Join(r.Config.Keepalived.Programs, "track-traefik")
	if why := r.Host.Insecure(program); why != "" {
		return alert.Alert{Kind: alert.CheckInsecure, Object: program, Text: "keepalived can't run its check, and counts that as success: " + why}, true
	}
	record, found := r.lastProbe()
	text := "has never run in this boot"
	if found {
		if r.Now().Sub(record.Time) <= probeSilence {
			return alert.Alert{}, false
		}
		text = "has not run for " + report.Duration(probeSilence) + " or more"
	}
	return alert.Alert{Kind: alert.CheckSilent, Object: program,
		Text: "keepalived's check " + program + " " + text + ", and keepalived counts that as success", Hint: "restart keepalived"}, true
}

// engineAlert tells of an engine that has died under its containers, or refuses this
// node's calls: the check lets the node continue, so nothing else would report it.
func (r *Records) engineAlert() (alert.Alert, bool) {
	record, found := r.lastProbe()
	if !found || record.EngineSilent.IsZero() || r.Now().Sub(record.Time) > probeSilence || record.Time.Sub(record.EngineSilent) < probeSilence {
		return alert.Alert{}, false
	}
	if record.EngineRefuses != "" {
		return alert.Alert{Kind: alert.EngineRefuses, Text: "the Docker Engine refuses this node's calls, while Traefik answers: " + record.EngineRefuses}, true
	}
	return alert.Alert{Kind: alert.Engine,
		Text: "the Docker Engine does not answer, while its containers continue: 'journalctl -u docker' shows why; without \"live-restore\" a restart stops them"}, true
}

// watcherAlert tells of a watcher that does not run, or hangs.
func (r *Records) watcherAlert() (alert.Alert, bool) {
	switch {
	case !r.State.Held(WatchLock):
		return alert.Alert{Kind: alert.WatcherStopped, Text: "the watcher does not run: nothing corrects what keepalived's hooks miss",
			Hint: "systemctl start understudy"}, true
	case r.heartbeatAge() >= heartbeatSilence:
		return alert.Alert{Kind: alert.WatcherHanging, Text: "the watcher has had no heartbeat for " + report.Duration(heartbeatSilence) + " or more: nothing corrects what keepalived's hooks miss",
			Hint: "systemctl restart understudy"}, true
	}
	return alert.Alert{}, false
}

// lastProbe returns what keepalived's check found last; found is false before its
// first run in this boot.
func (r *Records) lastProbe() (record state.Probe, found bool) {
	record, found, err := r.RunDir.Probe()
	return record, found && err == nil
}
