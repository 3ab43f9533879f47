package doctor

import (
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/alert"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/keepalived"
	"github.com/understudy-ha/understudy/pkg/state"
)

// planted is a fault, and the one finding that must result.
type planted struct {
	name     string
	plant    func(*pair)
	node     string
	check    string
	severity Severity
	says     string // in What, Why or Fix
}

// alerted plants an alert on the standby.
func alerted(kind alert.Kind, text string) func(*pair) {
	return func(p *pair) { p.b.Status.SetAlerts([]alert.Alert{{Kind: kind, Text: text}}) }
}

var faults = []planted{
	// keepalived
	{"installed configuration", func(p *pair) {
		p.b.Keepalived.Differences = []keepalived.Difference{{Where: "k.conf:3", What: "state MASTER", Why: "it clears nopreempt", Fix: "set state BACKUP"}}
	}, "b", "keepalived", Error, "state MASTER"},
	{"keepalived refuses it", func(p *pair) { p.b.Keepalived.Refused = "Unknown keyword 'nopremt'" }, "b", "keepalived-test", Error, "nopremt"},
	{"keepalived too old", func(p *pair) { p.a.Keepalived.Version, p.b.Keepalived.Version = "2.0.20", "2.0.20" }, "b", "keepalived-version", Error, "2.0.20"},
	{"keepalived of two ages", func(p *pair) { p.b.Keepalived.Version = "2.3.3" }, "", "keepalived-version", Warning, "2.3.3"},
	{"passwords differ", func(p *pair) { p.b.Keepalived.Password = "ff00" }, "", "password", Error, "/etc/understudy/vrrp"},
	{"one node alone has a password", func(p *pair) {
		p.cfg.Keepalived.PasswordFile, p.a.Keepalived.Password = "", ""
	}, "", "password", Error, "name the same keepalived.password_file in the configuration on both nodes"},
	{"keepalived does not run", alerted(alert.Keepalived, "keepalived does not run: this node can't take over"), "b", "alert", Error, "systemctl start keepalived"},
	{"the check does not run", alerted(alert.CheckSilent, "keepalived's check /usr/bin/track-traefik has not run for 10s or more"), "b", "alert", Error, "restart keepalived"},
	{"the watcher does not run", alerted(alert.WatcherStopped, "the watcher does not run: nothing corrects"), "b", "alert", Error, "systemctl start understudy"},
	{"the watcher is frozen", alerted(alert.WatcherHanging, "the watcher has had no heartbeat for 10s or more"), "b", "alert", Error, "systemctl restart understudy"},
	{"a dataset named like a check is left writable", alerted(alert.Leftover, "something may still be written here: dataset tank/healthchecks: busy"), "b", "alert", Error, "--transition"},
	{"an alert of another release", func(p *pair) { p.b.Status.Alerts = []string{"the watchdog barks: keepalived"} }, "b", "alert", Error, "the watchdog barks"},
	{"a program is missing", func(p *pair) { p.b.Programs[0].Problem = "not found on PATH" }, "b", "programs", Error, "apt install openssh-client"},
	{"a folder on the way to a program belongs to a user", func(p *pair) { p.b.Programs[1].Problem = "/usr/bin belongs to user 1000, not to root" }, "b", "programs", Error, "make install"},
	{"no interface", func(p *pair) { p.b.Interface.Exists = false }, "b", "interface", Error, "UNDERSTUDY_INTERFACE"},
	{"interface down", func(p *pair) { p.b.Interface.Up = false }, "b", "interface", Error, "ip link set eth0 up"},
	{"the address is not on the active node", func(p *pair) { p.a.Status.HoldsAddress = false }, "a", "address", Error, "restart keepalived"},
	{"the address is on the standby", func(p *pair) { p.b.Status.HoldsAddress = true }, "b", "address", Error, "restart keepalived"},
	// eligibility and roles
	{"held", func(p *pair) {
		p.b.Status.Eligible, p.b.Status.Reasons = false, []state.Ineligible{{Kind: state.IneligibleHold, Text: "held: new disks"}}
	}, "b", "eligible", Error, "failover-notify release"},
	{"not joined", func(p *pair) { p.b.Status.Eligible = false }, "b", "eligible", Error, "failover-notify join"},
	{"in fault", func(p *pair) { p.b.Status.Role = state.RoleFault }, "b", "role", Error, "--transition"},
	{"both active", func(p *pair) { p.b.Status.Role = state.RoleActive }, "", "conflict", Error, "a and b"},
	{"none active", func(p *pair) { p.a.Status.Role, p.a.Status.HoldsAddress = state.RoleStandby, false }, "", "active", Error, "failover-notify status"},
	{"projects run on the standby", func(p *pair) { p.b.Status.Services.Running = []string{"web"} }, "b", "running", Error, "web"},
	{"a service does not run", func(p *pair) { p.a.Status.Services.Lame = []string{"web/db stopped"} }, "a", "lame", Warning, "web/db"},
	{"no witness answers", func(p *pair) { p.b.Witness = "no witness answers (ping://10.0.0.254: no answer)" }, "b", "witness", Error, "10.0.0.254"},
	// between the nodes
	{"ssh does not work one way", func(p *pair) {
		p.b.Peers[0] = PeerLink{Node: "a", Error: "ask a: ssh to 10.0.0.1: its host key is not known", Hint: "add it to /etc/understudy/known_hosts"}
	}, "b", "ssh", Error, "known_hosts"},
	{"the key may do anything", func(p *pair) { p.a.Peers[0].Open = true }, "a", "ssh-key", Warning, `command="failover-notify gate"`},
	{"a clock is wrong", func(p *pair) { p.a.Peers[0].Ahead = -90 }, "a", "clock", Warning, "1m30s behind"},
	{"configurations differ", func(p *pair) { p.b.Config["virtual_ip"] = "x" }, "", "config", Error, "virtual_ip"},
	{"configurations differ harmlessly", func(p *pair) { p.b.Config["lag.warning"] = "x" }, "", "config", Warning, "lag.warning"},
	{"releases differ", func(p *pair) { p.b.Release = "v2" }, "", "release", Warning, "v2"},
	// data
	{"ZFS's parts differ", func(p *pair) { p.b.ZFS.Version = "2.3.1" }, "b", "zfs-version", Warning, "2.3.1"},
	{"ZFS is older on the standby", func(p *pair) { p.b.ZFS.Version, p.b.ZFS.Module = "2.1.11", "2.1.11" }, "b", "zfs-version", Warning, "2.1.11"},
	{"a feature is missing", func(p *pair) { p.b.ZFS.Pools[0].Features["zstd_compress"] = "disabled" }, "b", "features", Error, "zpool set feature@zstd_compress=enabled tank"},
	{"a pool is degraded", func(p *pair) { p.b.ZFS.Pools[0].Health = "DEGRADED" }, "b", "pool", Warning, "zpool status tank"},
	{"a pool is suspended", func(p *pair) { p.b.ZFS.Pools[0].Health = "SUSPENDED" }, "b", "pool", Error, "zpool clear tank"},
	{"a pool is nearly full", func(p *pair) { p.b.ZFS.Pools[0].Percent = 91 }, "b", "space", Warning, "91 %"},
	{"a pool is full", func(p *pair) { p.b.ZFS.Pools[0].Percent = 98 }, "b", "space", Error, "98 %"},
	{"no room for the next increment", func(p *pair) {
		p.a.ZFS.Datasets[1].Written = 600 << 30
	}, "b", "space", Error, "tank/db has space for 500 GiB"},
	{"no room for the next full", func(p *pair) {
		p.b.ZFS.Datasets[0].Available, p.b.ZFS.Datasets[1].Available = 50<<30, 50<<30
	}, "b", "space-full", Warning, "tank/db"},
	{"a dataset is missing", func(p *pair) {
		p.b.ZFS.Datasets[1].DatasetState = data.DatasetState{Name: "tank/db", Missing: true}
	}, "b", "dataset", Error, "zfs-replicate run"},
	{"a dataset has not come yet", func(p *pair) { p.b.ZFS.Datasets = p.b.ZFS.Datasets[:1] }, "b", "dataset", Error, "not received yet"},
	{"a replica is writable", func(p *pair) { p.b.ZFS.Datasets[1].Writable, p.b.ZFS.Datasets[1].Replica = true, false }, "b", "replica", Error, "zfs set readonly=on tank/db"},
	{"a replica was written to", func(p *pair) { p.b.ZFS.Datasets[1].Written = 4096 }, "b", "replica", Error, "zfs-replicate rejoin"},
	{"a replica is mounted", func(p *pair) { p.b.ZFS.Datasets[1].Mounted = true }, "b", "replica-mounted", Warning, "zfs unmount tank/db"},
	{"a replica is mounted by the next boot", func(p *pair) { p.b.ZFS.Datasets[1].MountsAtBoot = true }, "b", "replica-canmount", Warning, "canmount=noauto"},
	{"a dataset is read-only on the active node", func(p *pair) {
		d := &p.a.ZFS.Datasets[1]
		d.Writable, d.Demoted = false, true
	}, "a", "dataset", Error, "failover-notify master"},
	{"a key is not loaded on the active node", func(p *pair) { p.a.ZFS.Datasets[1].KeyNeeded = true }, "a", "key", Error, "zfs load-key"},
	{"a key has to be typed", func(p *pair) { p.b.ZFS.Datasets[1].KeyNeeded, p.b.ZFS.Datasets[1].KeyAt = true, "prompt" }, "b", "key", Error, "keylocation"},
	{"a key's file is missing", func(p *pair) {
		d := &p.b.ZFS.Datasets[1]
		d.KeyNeeded, d.KeyAt, d.KeyGone = true, "file:///etc/key", true
	}, "b", "key", Error, "keylocation"},
	{"an exclusion is misspelt", func(p *pair) { p.a.ZFS.Excluded, p.b.ZFS.Excluded = nil, nil }, "", "exclude", Warning, "tank/scratch"},
	{"permissions are missing", func(p *pair) {
		p.cfg.SSH.User = "replicate"
		p.b.ZFS.Allowed = map[string][]string{"tank": {"create", "receive", "mount", "destroy", "readonly", "canmount", "userprop"}}
	}, "b", "zfs-allow", Error, "zfs allow replicate rename tank"},
	{"replication is old", func(p *pair) {
		s := &p.a.Status.Replication.Sent[0]
		s.LastRun, s.LastSuccess = now.Add(-2*time.Hour), now.Add(-2*time.Hour)
	}, "a", "lag", Error, "2h0m ago"},
	{"replication is late", func(p *pair) {
		s := &p.a.Status.Replication.Sent[0]
		s.LastRun, s.LastSuccess = now.Add(-30*time.Minute), now.Add(-30*time.Minute)
	}, "a", "lag", Warning, "30m0s ago"},
	{"replication fails", func(p *pair) {
		s := &p.a.Status.Replication.Sent[0]
		s.LastRun, s.Error = now, "no route"
	}, "a", "replication", Error, "no route"},
	{"both have written", func(p *pair) {
		s := &p.a.Status.Replication.Sent[0]
		s.LastRun, s.Conflicts = now, map[string]string{"tank/db": "the standby has a snapshot of its own"}
	}, "a", "replication", Error, "failover-notify resolve --keep"},
	{"replication never was", func(p *pair) { p.a.Status.Replication.Sent = nil }, "a", "lag", Error, "nothing has been sent to b yet"},
	{"replication is not scheduled", func(p *pair) { p.b.Schedule.Replication = nil }, "b", "schedule", Error, "/etc/cron.d/zfs-replicate"},
	{"keepalived without its drop-in", func(p *pair) { p.a.Schedule.NoDrain = true }, "a", "boot", Warning, "keepalived.service.d"},
	{"a unit is not enabled", func(p *pair) { p.b.Schedule.Disabled = []string{"understudy-join"} }, "b", "boot", Error, "systemctl enable understudy-join"},
	// services
	{"the engine is down", func(p *pair) { p.b.Services.Engine = "ask the Docker Engine: it does not run" }, "b", "engine", Error, "systemctl restart docker"},
	{"a feature is not known there", func(p *pair) {
		p.a.ZFS.Pools[0].Features["longname"], p.b.ZFS.Module, p.b.ZFS.Version = "active", "2.3.1", "2.3.1"
	}, "b", "features", Error, "install an OpenZFS on b that has the feature, such as 2.3.9 as on a: 2.3.1 lacks it"},
	{"no docker", func(p *pair) { p.b.Programs[0] = Program{Name: "docker", Problem: "is not on PATH"} }, "b", "programs", Error, "apt install docker.io; then: apt install docker-compose (Debian 13)"},
	{"no docker on Debian 12", func(p *pair) {
		p.b.System, p.b.Programs[0] = "debian 12", Program{Name: "docker", Problem: "is not on PATH"}
	}, "b", "programs", Error, "docker-compose of Debian 12 is Compose 1"},
	{"no docker on Debian 13", func(p *pair) {
		p.b.System, p.b.Programs[0] = "debian 13", Program{Name: "docker", Problem: "is not on PATH"}
	}, "b", "programs", Error, "apt install docker.io docker-compose"},
	{"no docker compose on Ubuntu", func(p *pair) {
		p.b.System, p.b.Services.Compose = "ubuntu 24.04", "docker: 'compose' is not a docker command."
	}, "b", "compose", Error, "apt install docker-compose-v2"},
	{"no docker compose on Debian 12", func(p *pair) {
		p.b.System, p.b.Services.Compose = "debian 12", "docker: 'compose' is not a docker command."
	}, "b", "compose", Error, "apt install docker-compose-plugin from Docker's own packages"},
	{"an engine that refuses", func(p *pair) {
		p.b.Services.Engine, p.b.Services.EngineFix = "share no API version", "upgrade it"
	}, "b", "engine", Error, "upgrade it"},
	{"no docker compose", func(p *pair) { p.b.Services.Compose = "docker: 'compose' is not a docker command." }, "b", "compose", Error, "apt install"},
	{"a pattern matches nothing", func(p *pair) { p.b.Services.Problem = "apps/*/compose.yaml matches nothing in /srv" }, "b", "projects", Error, "services.projects"},
	{"services.first is misspelt", func(p *pair) { p.b.Services.Unknown = []string{"treafik"} }, "b", "first", Error, "treafik"},
	{"a project can't be loaded", func(p *pair) { p.b.Services.Projects[1].Error = "line 3: not a mapping" }, "b", "project", Error, "docker compose config"},
	{"an env_file is missing", func(p *pair) {
		p.b.Services.Projects[1].Missing = []string{"service web: env_file /srv/web/.secret is not here"}
	}, "b", "project-file", Error, ".secret"},
	{"a restart policy revives", func(p *pair) {
		p.b.Services.Projects[1].Warnings = []string{"service web has the restart policy always: a reboot revives it"}
	}, "b", "restart", Warning, "restart: unless-stopped"},
	{"a project is missing", func(p *pair) { p.b.Services.Projects = p.b.Services.Projects[:1] }, "b", "projects-differ", Error, "web"},
	{"an image is missing", func(p *pair) { p.b.Services.Images["web:1"] = "" }, "b", "images", Error, "docker pull web:1"},
	{"an image is another one", func(p *pair) { p.b.Services.Images["web:1"] = "3" }, "b", "images-differ", Warning, "web:1"},
	{"an image is missing, and image-sync says why", func(p *pair) {
		p.b.Services.Images["web:1"] = ""
		p.b.Status.Images = &failover.ImagesStatus{Time: now.Add(-3 * time.Minute), Active: "a", Missing: []failover.MissingImage{{Ref: "web:1", Digest: "sha256:dada", WantedSince: now.Add(-time.Hour), Why: "no such manifest"}}}
	}, "b", "images", Error, "web:1 (since " + now.Add(-time.Hour).Local().Format(time.DateTime) + ", wanted sha256:dada: no such manifest; image-sync, 3m0s ago)"},
	{"an image's name has a digest", func(p *pair) {
		p.b.Services.Images["web@sha256:dada"], p.a.Services.Images["web@sha256:dada"] = "4", "4"
	}, "b", "images-pinned", Info, "web@sha256:dada"},
	{"image-sync has stopped", func(p *pair) {
		p.b.Status.Images = &failover.ImagesStatus{Time: now.Add(-50 * time.Hour), Active: "a"}
	}, "b", "image-sync", Warning, "2d2h ago"},
	{"image-sync never ran", func(p *pair) { p.b.Status.Images = &failover.ImagesStatus{Never: true} }, "b", "image-sync", Info, "never"},
	{"image-sync's record is broken", func(p *pair) { p.b.Status.Images = &failover.ImagesStatus{Error: "read images.json: EOF"} }, "b", "image-sync", Warning, "EOF"},
	{"image-sync could not read a project", func(p *pair) {
		p.b.Status.Images = &failover.ImagesStatus{Time: now, Active: "a", Problems: []string{"project x: no file"}}
	}, "b", "image-sync", Warning, "project x: no file"},
	{"autoheal", func(p *pair) {
		p.b.Services.Revivers = []Reviver{{Name: "autoheal", Image: "willfarrell/autoheal", Up: true}}
	}, "b", "reviver", Error, "docker rm -f autoheal"},
	{"autoheal among the projects", func(p *pair) {
		p.a.Services.Revivers = []Reviver{{Name: "autoheal", Image: "willfarrell/autoheal", Up: true, Ours: true}}
	}, "a", "reviver", Warning, "autoheal"},
	{"a network with options is missing", func(p *pair) {
		p.a.Services.Networks["proxy"], p.b.Services.Networks["proxy"] = "bridge with options", ""
	}, "b", "network", Warning, "docker network create -d bridge proxy"},
	{"a network has options on one node", func(p *pair) { p.a.Services.Networks["proxy"] = "bridge with options" }, "b", "network", Warning, "options on one node"},
	{"a network of its own kind is missing", func(p *pair) { p.a.Services.Networks["lan"], p.b.Services.Networks["lan"] = "macvlan", "" }, "b", "network", Error, "docker network create -d macvlan lan"},
	{"a network is of another kind", func(p *pair) { p.a.Services.Networks["proxy"] = "macvlan" }, "b", "network", Error, "macvlan"},
	{"data beside the datasets", func(p *pair) {
		p.a.Services.Projects[1].Places[0] = Place{Path: "/home/data", Exists: true, On: "/dev/sda1 (ext4)"}
	}, "a", "bind", Error, "project web: /home/data lies on /dev/sda1 (ext4)"},
	{"data on an excluded dataset", func(p *pair) {
		p.a.Services.Projects[1].Places[0] = Place{Path: "/tank/scratch/x", Exists: true, On: "tank/scratch"}
	}, "a", "bind", Error, "remove tank/scratch from exclude"},
	{"data on another dataset", func(p *pair) {
		p.a.Services.Projects[1].Places[0] = Place{Path: "/other/x", Exists: true, On: "other/x"}
	}, "a", "bind", Error, "add other/x to replication.datasets"},
	{"a file is on one node only", func(p *pair) { p.b.Services.Projects[0].Places[2].Exists = false }, "a", "bind", Error, "scp -p"},
	{"data in a volume", func(p *pair) {
		p.a.Services.Projects[1].Places[0] = Place{Path: "/var/lib/docker/volumes/web_db/_data", Volume: "web_db", Exists: true, On: "/dev/sda1 (ext4)"}
	}, "a", "volume", Error, "volume web_db"},
	{"data in a volume without a name", func(p *pair) {
		p.a.Services.Projects[1].Places[0] = Place{Path: "/var/lib/docker/volumes/x/_data", Volume: strings.Repeat("0a", 32), Exists: true, On: "/dev/sda1 (ext4)"}
	}, "a", "volume", Warning, "anonymous volume"},
	// people
	{"the file of channels is missing", func(p *pair) {
		p.b.Channels = &Channels{Problem: "/etc/understudy/notify.urls: no such file or directory"}
	}, "b", "notify", Warning, "mode 0600"},
	{"a channel does not answer", func(p *pair) { p.b.Channels.List[0].Error = "cannot connect: connection refused" }, "b", "notify", Warning, "ntfy (line 1)"},
	{"a channel takes nothing", func(p *pair) { p.b.Channels.Failing = []string{"ntfy (line 1): 403"} }, "b", "notify", Warning, "403"},
	// checks that hang
	{"ZFS hangs", func(p *pair) {
		p.b.ZFS, p.b.Failed = nil, []FailedCheck{{Check: "zfs", Error: "no answer in time", Hung: true}}
	}, "b", "look-zfs", Error, "zpool status"},
	{"a look has a hint", func(p *pair) {
		p.b.Keepalived, p.b.Failed = nil, []FailedCheck{{Check: "keepalived", Error: "not there", Hint: "failover-notify keepalived > x"}}
	}, "b", "look-keepalived", Error, "failover-notify keepalived > x"},
}
