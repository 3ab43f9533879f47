package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/alert"
	"github.com/understudy-ha/understudy/pkg/state"
)

// judging is the nodes while they are judged.
type judging struct {
	cfg   *config.Config
	nodes []Facts
	// active is the node whose services and data count; nil for none, or more
	// than one.
	active *Facts
	found  findings
}

// Judge says what is wrong with the nodes that answered, taken together. One
// alone is judged by itself.
func Judge(cfg *config.Config, nodes []Facts) []Finding {
	j := &judging{cfg: cfg, nodes: nodes}
	var active []string
	for i := range nodes {
		if s := nodes[i].Status; s != nil && s.Role == state.RoleActive {
			active, j.active = append(active, nodes[i].Node), &nodes[i]
		}
	}
	if len(active) > 1 {
		j.active = nil
		j.found.on("")("conflict", Error, strings.Join(active, " and ")+" are active at the same time",
			"both write, and what one writes is not on the other", "decide which one stays, and on the other one: failover-notify hold --force")
	}
	for i := range nodes {
		f := &nodes[i]
		add := j.found.on(f.Node)
		j.looks(f, add)
		j.role(f, add)
		j.node(f, add)
		j.keepalived(f, add)
		j.zfs(f, add)
		j.services(f, add)
	}
	j.places()
	j.replication()
	if len(nodes) > 1 {
		if len(active) == 0 {
			j.found.on("")("active", Error, "no node that answers is active", "nothing serves", "failover-notify status tells what each one waits for")
		}
		j.pairs()
		j.room()
	}
	return j.found.sorted()
}

// standby reports whether a node is one that could have to take over.
func (j *judging) standby(f *Facts) bool { return j.active != nil && f != j.active }

// lookFixes are what helps against a look that comes to nothing, where the
// failure does not say so itself.
var lookFixes = map[string]struct {
	severity Severity
	why, fix string
}{
	"config":     {Warning, "the nodes can't be compared", "failover-notify config show"},
	"status":     {Error, "nobody knows what the node is", "failover-notify status --local"},
	"programs":   {Error, "what a failover starts may be missing", "failover-notify doctor --log-level debug"},
	"schedule":   {Warning, "whether replication is scheduled is not known", "ls /etc/cron.d /etc/systemd/system"},
	"channels":   {Warning, "nobody may be told of a failover", "look at the file that notify.urls_file names"},
	"witness":    {Error, "a node that can't ask its witnesses does not take over", "ping the witness.targets"},
	"keepalived": {Error, "the virtual IP may not move", "failover-notify keepalived --check"},
	"interface":  {Error, "the virtual IP may have no place", "ip link"},
	"zfs":        {Error, "whether the data can be taken over is not known, and a failover would meet the same", "zpool status"},
	"services":   {Error, "whether the services can be started is not known, and a failover would meet the same", "systemctl status docker"},
}

// looks judges what could not be looked at.
func (j *judging) looks(f *Facts, add add) {
	for _, l := range f.Failed {
		name, _, _ := strings.Cut(l.Look, " ")
		known, found := lookFixes[name]
		if !found {
			known.severity, known.why, known.fix = Error, "a failover would meet the same", "failover-notify status"
		}
		if l.Hint != "" {
			known.fix = l.Hint
		}
		what := "looking at " + l.Look + " failed: " + l.Error
		if l.Hung {
			what = "looking at " + l.Look + " hangs: " + l.Error
		}
		add("look-"+name, known.severity, what, known.why, known.fix)
	}
}

// ends are how a reason against a node is ended.
var ends = map[string]string{
	state.IneligibleHold:      "failover-notify release",
	state.IneligiblePromotion: "failover-notify status --transition tells what failed; mend it, then: failover-notify release",
	state.IneligibleConflict:  "failover-notify resolve --keep NODE, the one whose data goes on; the other one keeps aside what only it has",
	state.IneligibleBoot:      "systemctl start understudy-join (or: failover-notify join)",
	state.IneligibleWaiting:   "start the node that is waited for, or: failover-notify release",
	state.IneligibleReplica:   "on the active node: zfs-replicate run",
	state.IneligibleHandover:  "wait: it ends with the switchover",
	state.IneligibleYield:     "wait: it ends when that node is active, or has not become it",
	state.IneligibleRefused:   "it ends by itself: bring back what it waits for",
}

// role judges what a node says that it is.
func (j *judging) role(f *Facts, add add) {
	s := f.Status
	if s == nil {
		return
	}
	for _, r := range s.Reasons {
		add("eligible", Error, "it may not hold the virtual IP: "+r.Text, "keepalived is in fault there, so it does not take over", ends[r.Kind])
	}
	if !s.Eligible && len(s.Reasons) == 0 {
		add("eligible", Error, "it may not hold the virtual IP, and nothing says why", "keepalived is in fault there, so it does not take over", "failover-notify join")
	}
	// A node that may not hold the address is in fault for that.
	if j.standby(f) && s.Role != state.RoleStandby && (s.Role != state.RoleFault || len(s.Reasons) == 0) {
		add("role", Error, fmt.Sprintf("it is %s, not a standby: %s", s.Role, s.Reason), "it does not take over from there", "failover-notify status --transition tells what keeps it")
	}
	for _, a := range s.AlertList() {
		why, fix := explainAlert(a.Kind)
		add("alert", Error, a.Text, why, fix)
	}
	if j.cfg.VirtualIP == "" {
		return
	}
	switch {
	case f == j.active && !s.HoldsAddress:
		add("address", Error, "it is active, and the virtual IP is not on it", "nobody reaches the services", "systemctl restart keepalived")
	case j.standby(f) && s.HoldsAddress:
		add("address", Error, "it is a standby, and has the virtual IP", "two nodes have the address, and who reaches which is chance", "systemctl restart keepalived")
	}
}

// explainAlert returns why an alert matters, and what to do about it.
func explainAlert(kind alert.Kind) (why, fix string) {
	const unwatched = "a lost hook, or a keepalived that was killed, leaves two nodes active or none"
	switch kind {
	case alert.WatcherHanging:
		return unwatched, "systemctl restart understudy"
	case alert.WatcherStopped:
		return unwatched, "systemctl start understudy"
	case alert.EngineRefuses:
		return "no project can be stopped or started", "track-traefik --explain shows what the engine says and the way out; restarting docker does not help"
	case alert.CheckInsecure, alert.CheckSilent:
		return "a service that has died does not move the address", "systemctl restart keepalived, and see that track-traefik is where keepalived's configuration has it"
	case alert.Keepalived:
		return "the address does not move", "systemctl start keepalived"
	case alert.Leftover:
		return "no other node takes over while this one may write", "failover-notify status --transition names what holds it; end that"
	}
	return "a failover may not go as it should", "failover-notify status"
}

// others are the nodes but one.
func (j *judging) others(f *Facts) []*Facts {
	var list []*Facts
	for i := range j.nodes {
		if &j.nodes[i] != f {
			list = append(list, &j.nodes[i])
		}
	}
	return list
}

// both calls do for each two nodes.
func (j *judging) both(do func(a, b *Facts)) {
	for i := range j.nodes {
		for k := range j.nodes[i+1:] {
			do(&j.nodes[i], &j.nodes[i+1+k])
		}
	}
}

// list shows some of many.
func list(names []string) string {
	const most = 6
	names = slices.Clone(names)
	slices.Sort(names)
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
