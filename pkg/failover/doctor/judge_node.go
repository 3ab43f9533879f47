package doctor

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/report"
)

// skew is the accepted difference between clocks.
const skew = 2 * time.Second

// oldestKeepalived is the first version with track_file "weight 0 reverse".
const oldestKeepalived = "2.1"

// node judges a node's programs, network, schedule and channels.
func (j *judge) node(f *Facts, add add) {
	for _, p := range f.Programs {
		if p.Problem != "" {
			name, problem := p.Name, p.Problem
			if !strings.HasPrefix(problem, name) {
				problem = name + " " + problem
			}
			add("programs", Error, problem, "a failover needs it", installFix(name, f.System))
		}
	}
	if i := f.Interface; i != nil {
		switch {
		case !i.Exists:
			add("interface", Error, fmt.Sprintf("no interface %q", i.Name), "the virtual IP has no interface here", "set interface in "+j.file()+" to one that 'ip link' shows, or set UNDERSTUDY_INTERFACE")
		case !i.Up:
			add("interface", Error, "interface "+i.Name+" is down", "clients can't reach the virtual IP here", "ip link set "+i.Name+" up; check its cable")
		}
	}
	for _, l := range f.Peers {
		j.link(l, add)
	}
	switch {
	case f.Witness != "":
		add("witness", Error, f.Witness, "a node that reaches no witness counts as isolated, and does not take over", "check that witness.targets are up, and that this node reaches them: ip route; ping")
	case len(j.cfg.Witness.Targets) == 0 && !j.cfg.Witness.Etcd.Configured() && len(j.cfg.Nodes) > 1 && j.cfg.VirtualIP != "":
		add("witness", Warning, "witness.targets is empty", "two nodes that can't hear each other both become active", "name an address that always answers, usually the router: witness: {targets: [\"ping://ADDRESS\"]}")
	}
	j.lease(f, add)
	j.schedule(f, add)
	if c := f.Channels; c != nil {
		j.channels(c, add)
	}
}

// file returns the configuration file's name, for a fix.
func (j *judge) file() string {
	if file := j.cfg.File(); file != "" {
		return file
	}
	return "the configuration"
}

// installFix returns how to install a program on a system such as "debian 13".
func installFix(name, system string) string {
	switch filepath.Base(name) {
	case "ssh":
		return "apt install openssh-client"
	case "ip":
		return "apt install iproute2"
	case "zfs", "zpool":
		return "apt install zfsutils-linux"
	case "docker":
		if compose := composePackage(system); compose != "" {
			return "apt install docker.io " + compose
		}
		return "apt install docker.io; then: " + installComposeFix(system)
	case "keepalived":
		return "apt install keepalived"
	}
	return "as root: make install PREFIX=/usr, so that the program and its folders belong to root"
}

// composePackage returns the distribution's package of Compose 2, or "" if it has none
// or is unknown. Debian's docker-compose is Compose 1 before Debian 13.
func composePackage(system string) string {
	id, version, _ := strings.Cut(system, " ")
	major, err := strconv.Atoi(version)
	switch {
	case id == "ubuntu":
		return "docker-compose-v2"
	case id == "debian" && (err == nil && major >= 13 || version == ""): // testing has no number
		return "docker-compose"
	}
	return ""
}

// installComposeFix returns how to install "docker compose".
func installComposeFix(system string) string {
	const docker = "docker-compose-plugin from Docker's own packages (docs.docker.com/engine/install)"
	if compose := composePackage(system); compose != "" {
		return "apt install " + compose + ", or, with Docker's own packages, docker-compose-plugin"
	}
	if strings.HasPrefix(system, "debian ") {
		return "apt install " + docker + ": the docker-compose of Debian " + strings.TrimPrefix(system, "debian ") + " is Compose 1"
	}
	return "apt install docker-compose (Debian 13), docker-compose-v2 (Ubuntu), or " + docker + ", on Debian 12 too"
}

// link judges a node's connection to another node.
func (j *judge) link(l PeerLink, add add) {
	if l.Error != "" {
		fix := l.Hint
		if fix == "" {
			fix = "on this node: failover-notify status"
		}
		add("ssh", Error, "cannot ask "+l.Node+": "+l.Error, "it can't know whether "+l.Node+" still writes, and replication stops once the roles change", fix)
		return
	}
	if l.Open {
		add("ssh-key", Warning, "its key may run any command on "+l.Node, "an intruder on this node controls the other node too",
			"in authorized_keys on "+l.Node+`, before the key: restrict,command="failover-notify gate"`)
	}
	if apart := math.Abs(l.Ahead) - l.Within; apart > skew.Seconds() {
		which := "ahead of"
		if l.Ahead < 0 {
			which = "behind"
		}
		add("clock", Warning, fmt.Sprintf("the clock of %s is %s %s this node's", l.Node, report.Seconds(math.Abs(l.Ahead)), which),
			"the shown ages of replicas and requests are wrong", "timedatectl set-ntp true, on both nodes")
	}
}

// schedule judges what cron and systemd start.
func (j *judge) schedule(f *Facts, add add) {
	s := f.Schedule
	if s == nil {
		return
	}
	if len(s.Replication) == 0 && len(j.cfg.Replication.Datasets) > 0 && !j.ranLately(f) {
		add("schedule", Error, "no schedule for zfs-replicate run", "while this node is active, nothing is replicated", "systemctl enable --now understudy-replicate.timer; or without systemd: cp /usr/share/understudy/cron/zfs-replicate /etc/cron.d/zfs-replicate")
	}
	for _, unit := range s.Disabled {
		severity, why := Error, "after a reboot this node does not take part"
		if unit == "understudy-fence" {
			severity, why = Warning, "after a reboot its stale data can be written to until it has joined"
		}
		add("boot", severity, "unit "+unit+" is not enabled", why, "systemctl enable "+unit)
	}
	if s.NoDrain {
		add("boot", Warning, "keepalived's unit does not hand over before it stops",
			"a reboot of the active node causes a failover, which leaves its unreplicated changes behind; keepalived may also start before the node has joined",
			"install -D -m 0644 -t /etc/systemd/system/keepalived.service.d /usr/share/understudy/systemd/keepalived.service.d/understudy.conf; systemctl daemon-reload")
	}
}

// ranLately reports whether a node replicated recently, however that was started.
func (j *judge) ranLately(f *Facts) bool {
	if f.Status == nil || f.Status.Replication == nil || f != j.active {
		return false
	}
	for _, sent := range f.Status.Replication.Sent {
		if f.Time.Sub(sent.LastRun) < j.cfg.Lag.Warning {
			return true
		}
	}
	return false
}

// channels judges the notification channels.
func (j *judge) channels(c *Channels, add add) {
	const why = "nobody is notified of a failover, or if replication stops"
	file := j.cfg.Notify.URLsFile
	switch {
	case file == "":
		add("notify", Info, c.Problem, why, "write one URL per line into /etc/understudy/notify.urls, mode 0600, and set notify: {urls_file: /etc/understudy/notify.urls}")
	case c.Problem != "":
		add("notify", Warning, c.Problem, why, cmp.Or(c.Fix, "write one URL per line into it, mode 0600"))
	}
	const try = "failover-notify test-notification; correct "
	for _, channel := range c.List {
		if channel.Error != "" {
			add("notify", Warning, "notification channel "+channel.Name+": "+channel.Error, why, try+file+", or the network to it")
		}
	}
	for _, failure := range c.Failing {
		add("notify", Warning, "notifications are not accepted: "+failure, why, try+file)
	}
}

// keepalived judges the installed keepalived.
func (j *judge) keepalived(f *Facts, add add) {
	k := f.Keepalived
	if k == nil {
		return
	}
	for _, d := range k.Differences {
		add("keepalived", Error, d.Where+": "+d.What, d.Why, d.Fix+"; then: systemctl reload keepalived")
	}
	if k.Refused != "" {
		add("keepalived-test", Error, "keepalived refuses its configuration: "+k.Refused, "it ignores the refused part, or does not start", "failover-notify keepalived > "+j.cfg.Keepalived.File+"; then: systemctl reload keepalived")
	}
	if k.Version != "" && older(k.Version, oldestKeepalived) {
		add("keepalived-version", Error, "keepalived "+k.Version+" is too old", "it lacks track_file with weight 0 reverse, so an ineligible node takes the virtual IP", "install keepalived 2.2 or later")
	}
}

// older compares versions such as 2.2.7, number by number.
func older(a, b string) bool {
	return slices.Compare(numbers(a), numbers(b)) < 0
}

func numbers(version string) []int {
	var list []int
	for part := range strings.SplitSeq(version, ".") {
		n := 0
		for _, c := range part {
			if c < '0' || c > '9' {
				break
			}
			n = n*10 + int(c-'0')
		}
		list = append(list, n)
	}
	return list
}
