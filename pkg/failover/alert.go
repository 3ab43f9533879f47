package failover

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/understudy-ha/understudy/pkg/keepalived"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// probeSilence is how old the check's record may be: keepalived runs it every
// second.
const probeSilence = 10 * time.Second

// alerts are what a person should look at, though the node may go on. keepalived
// takes a check that it can't run for a success, so nothing else would say so.
func (n *Node) alerts() []string {
	var alerts []string
	add := func(format string, args ...any) { alerts = append(alerts, fmt.Sprintf(format, args...)) }
	role, err := n.State.Role()
	if err != nil {
		return []string{err.Error()}
	}
	if unfinished(role) && role.Boot == n.Boot {
		add("something may still be written here: %s", role.Reason)
	}
	if n.Address.Configured() {
		n.addressAlerts(role, add)
	}
	n.engineAlert(add)
	n.watcherAlert(add)
	return alerts
}

func (n *Node) addressAlerts(role state.RoleFile, add func(string, ...any)) {
	kept, err := n.Address.Kept()
	if err != nil {
		add("%v", err)
		return
	}
	if !kept {
		add("keepalived does not run: this node can't take over, nor hold the floating address")
		return
	}
	program := filepath.Join(n.Config.Keepalived.Programs, "track-traefik")
	if why := keepalived.Insecure(program); why != "" {
		add("keepalived can't run its check, and takes that for a success: %s", why)
		return
	}
	record, found := n.lastProbe()
	if age := n.Now().Sub(record.Time); !found || age > probeSilence {
		text := "has never run in this boot"
		if found {
			// Without the age, which would make it another alert each second.
			text = "has not run for " + report.Duration(probeSilence) + " or more"
		}
		add("keepalived's check %s %s, and keepalived takes that for a success: restart keepalived", program, text)
	}
}

// engineAlert tells of an engine that has died under its containers, or refuses what
// is asked: the check lets the node continue, so nothing else would say so.
func (n *Node) engineAlert(add func(string, ...any)) {
	record, found := n.lastProbe()
	if !found || record.EngineSilent.IsZero() || n.Now().Sub(record.Time) > probeSilence {
		return
	}
	if record.Time.Sub(record.EngineSilent) < probeSilence {
		return
	}
	if record.EngineRefuses != "" {
		add("the Docker Engine refuses what this node asks of it, while Traefik answers: %s", record.EngineRefuses)
		return
	}
	add("the Docker Engine does not answer, while what it has started goes on: 'journalctl -u docker' says why; without \"live-restore\" its restart ends the containers")
}

// probed is as much of what keepalived's check leaves as matters here.
type probed struct {
	Time         time.Time `json:"time"`
	EngineSilent time.Time `json:"engine_silent"` // since when; zero while it answers
	// EngineRefuses is what it says when it answers but refuses the call.
	EngineRefuses string `json:"engine_refuses"`
}

// lastProbe is what keepalived's check has left; found is false before its first run
// in this boot.
func (n *Node) lastProbe() (record probed, found bool) {
	text, err := os.ReadFile(filepath.Join(n.Config.RunDir, "probe.json"))
	if err != nil || json.Unmarshal(text, &record) != nil {
		return probed{}, false
	}
	return record, true
}
