package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/alert"
	"github.com/understudy-ha/understudy/pkg/state"
)

// judge holds the nodes while they are judged.
type judge struct {
	cfg   *config.Config
	nodes []Facts
	// active is the node whose services and data count; nil if none or several are.
	active *Facts
	found  findings
}

// judgeAll returns the findings about the nodes that answered, together. A single node is
// judged alone.
func judgeAll(cfg *config.Config, nodes []Facts) []Finding {
	j := &judge{cfg: cfg, nodes: nodes}
	var active []string
	for i := range nodes {
		if s := nodes[i].Status; s != nil && s.Role == state.RoleActive {
			active, j.active = append(active, nodes[i].Node), &nodes[i]
		}
	}
	if len(active) > 1 {
		j.active = nil
		j.found.on("")("conflict", Error, strings.Join(active, " and ")+" are active at the same time",
			"both write, and each lacks the other's changes", "choose the node that stays active; on the other: failover-notify hold --force")
	}
	for i := range nodes {
		f := &nodes[i]
		add := j.found.on(f.Node)
		j.failedChecks(f, add)
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
			j.found.on("")("active", Error, "no answering node is active", "nothing serves", "failover-notify status shows what each node waits for")
		}
		j.pairs()
		j.space()
	}
	return j.found.sorted()
}

// standby reports whether a node may have to take over.
func (j *judge) standby(f *Facts) bool { return j.active != nil && f != j.active }

// checkFixes holds the severity, effect and fix of a failed check whose error has no
// hint.
var checkFixes = map[string]struct {
	severity Severity
	why, fix string
}{
	"config":     {Warning, "the configurations can't be compared", "failover-notify config show"},
	"status":     {Error, "the node's role is unknown", "failover-notify status --local"},
	"programs":   {Error, "programs of a failover may be missing", "failover-notify doctor --log-level debug"},
	"schedule":   {Warning, "it is unknown whether replication is scheduled", "ls /etc/cron.d /etc/systemd/system"},
	"channels":   {Warning, "a failover may send no notification", "check the file that notify.urls_file names"},
	"witness":    {Error, "a node that can't ask its witnesses does not take over", "ping each of witness.targets"},
	"keepalived": {Error, "the virtual IP may not move", "failover-notify keepalived --check"},
	"interface":  {Error, "the virtual IP may have no interface", "ip link"},
	"zfs":        {Error, "a failover would meet the same failure, and the state of the data is unknown", "zpool status"},
	"services":   {Error, "a failover would meet the same failure, and the state of the services is unknown", "systemctl status docker"},
}

// failedChecks judges the checks that failed.
func (j *judge) failedChecks(f *Facts, add add) {
	for _, l := range f.Failed {
		name, _, _ := strings.Cut(l.Check, " ")
		known, found := checkFixes[name]
		if !found {
			known.severity, known.why, known.fix = Error, "a failover would meet the same failure", "failover-notify status"
		}
		if l.Hint != "" {
			known.fix = l.Hint
		}
		what := "check of " + l.Check + " failed: " + l.Error
		if l.Hung {
			what = "check of " + l.Check + " hangs: " + l.Error
		}
		add("look-"+name, known.severity, what, known.why, known.fix)
	}
}

// reasonFixes holds the fix for each reason that makes a node ineligible.
var reasonFixes = map[string]string{
	state.IneligibleHold:      "failover-notify release",
	state.IneligiblePromotion: "failover-notify status --transition shows the failed step; fix it, then: failover-notify release",
	state.IneligibleConflict:  "failover-notify resolve --keep NODE, where NODE stays active; the other node preserves its unreplicated changes",
	state.IneligibleBoot:      "systemctl start understudy-join (or: failover-notify join)",
	state.IneligibleWaiting:   "start the awaited node, or: failover-notify release",
	state.IneligibleReplica:   "on the active node: zfs-replicate run",
	state.IneligibleHandover:  "wait until the switchover ends",
	state.IneligibleYield:     "wait until the other standby is active, or 20 s",
	state.IneligibleRefused:   "restore the named service; the reason then ends on its own",
}

// role judges a node's role and eligibility.
func (j *judge) role(f *Facts, add add) {
	s := f.Status
	if s == nil {
		return
	}
	for _, r := range s.Reasons {
		add("eligible", Error, "ineligible: "+r.Text, "its keepalived is in fault, so it can't take over", reasonFixes[r.Kind])
	}
	if !s.Eligible && len(s.Reasons) == 0 {
		add("eligible", Error, "ineligible: has not joined since boot", "its keepalived is in fault, so it can't take over", "failover-notify join")
	}
	// An ineligible node is in fault because of that.
	if j.standby(f) && s.Role != state.RoleStandby && (s.Role != state.RoleFault || len(s.Reasons) == 0) {
		add("role", Error, fmt.Sprintf("%s, not a standby: %s", s.Role, s.Reason), "it can't take over", "failover-notify status --transition shows the reason")
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
		add("address", Error, "active, but without the virtual IP", "clients can't reach the services", "systemctl restart keepalived")
	case j.standby(f) && s.HoldsAddress:
		add("address", Error, "a standby, but holds the virtual IP", "two nodes have the virtual IP, and clients reach either", "systemctl restart keepalived")
	}
}

// explainAlert returns the effect and the fix of an alert.
func explainAlert(kind alert.Kind) (why, fix string) {
	const unwatched = "a lost hook or a killed keepalived leaves two active nodes, or none"
	switch kind {
	case alert.WatcherHanging:
		return unwatched, "systemctl restart understudy"
	case alert.WatcherStopped:
		return unwatched, "systemctl start understudy"
	case alert.EngineRefuses:
		return "no project can be stopped or started", "track-traefik --explain shows the engine's error and the fix; restarting docker does not help"
	case alert.CheckInsecure, alert.CheckSilent:
		return "a dead service does not move the virtual IP", "systemctl restart keepalived; check that track-traefik is at the path in keepalived's configuration"
	case alert.Keepalived:
		return "the virtual IP does not move", "systemctl start keepalived"
	case alert.Leftover:
		return "no other node takes over while this node can write", "failover-notify status --transition names the process that holds it; end that process"
	}
	return "a failover may not work", "failover-notify status"
}

// others returns the nodes except f.
func (j *judge) others(f *Facts) []*Facts {
	var list []*Facts
	for i := range j.nodes {
		if &j.nodes[i] != f {
			list = append(list, &j.nodes[i])
		}
	}
	return list
}

// eachPair calls do for each pair of nodes.
func (j *judge) eachPair(do func(a, b *Facts)) {
	for i := range j.nodes {
		for k := range j.nodes[i+1:] {
			do(&j.nodes[i], &j.nodes[i+1+k])
		}
	}
}

// list returns the first names, and the number of the others.
func list(names []string) string {
	const most = 6
	names = slices.Clone(names)
	slices.Sort(names)
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
