//go:build drill

package drill

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/failover/doctor"
)

// planted is a fault that doctor must find and explain how to fix.
type planted struct {
	name  string
	on    func(*takeover) lab.Node
	plant string
	undo  string
	check string
	fix   string // part of it
}

func onStandby(d *takeover) lab.Node { return d.standby }
func onActive(d *takeover) lab.Node  { return d.active }

// foundIn reports whether the fault is among the findings.
func (p planted) foundIn(all []doctor.Finding) bool {
	return slices.ContainsFunc(all, func(f doctor.Finding) bool {
		return f.Check == p.check && strings.Contains(f.What+f.Why+f.Fix, p.fix) && f.Fix != ""
	})
}

// installed is keepalived's configuration file.
const installed = "/etc/keepalived/keepalived.conf"

// plantedFaults need the real programs. Faults that a node's facts alone show
// are planted in pkg/failover/doctor.
var plantedFaults = []planted{
	{"keepalived's state", onStandby, `cp ` + installed + ` /run/good; sed -i 's/state BACKUP/state MASTER/' ` + installed, `cp /run/good ` + installed, "keepalived", "state BACKUP"},
	{"keepalived's nopreempt", onActive, `cp ` + installed + ` /run/good; sed -i '/nopreempt/d' ` + installed, `cp /run/good ` + installed, "keepalived", "add nopreempt"},
	{"what keepalived refuses", onStandby, `cp ` + installed + ` /run/good; sed -i 's/virtual_router_id .*/virtual_router_id 999/' ` + installed, `cp /run/good ` + installed, "keepalived-test", "keepalived"},
	{"no keepalived.conf", onStandby, `mv ` + installed + ` /run/good`, `cp /run/good ` + installed, "look-keepalived", "failover-notify keepalived"},
	{"keepalived dead", onStandby, `touch /run/lab/keepalived.stop /run/lab/keepalived.killed; echo 1 >/sys/fs/cgroup/lab-keepalived/cgroup.kill`, "", "alert", "systemctl start keepalived"},
	{"the watcher dead", onStandby, `touch /run/lab/watch.stop /run/lab/watch.killed; echo 1 >/sys/fs/cgroup/lab-watch/cgroup.kill`, "", "alert", "systemctl start understudy"},
	{"dockerd dead", onStandby, `touch /run/lab/docker.stop /run/lab/docker.killed; echo 1 >/sys/fs/cgroup/lab-docker/cgroup.kill`, "", "engine", "docker"},
	{"an image gone", onStandby, `docker tag webapp:lab spare:lab; docker ps -aq | xargs -r docker rm -f; docker rmi -f webapp:lab`, `docker tag spare:lab webapp:lab; docker rmi spare:lab`, "images", "webapp:lab"},
	{"a project gone", onStandby, `mv ` + Checkout + `/apps/app2 /run/app2`, `mv /run/app2 ` + Checkout + `/apps/app2`, "projects-differ", "git pull"},
	{"a project that can't be read", onStandby, `cp ` + Checkout + `/apps/app2/docker-compose.yml /run/app2.yml; echo '  - x' >>` + Checkout + `/apps/app2/docker-compose.yml`, `cp /run/app2.yml ` + Checkout + `/apps/app2/docker-compose.yml`, "project", "docker compose"},
	{"ssh refused one way", onActive, refuse, strings.Replace(refuse, " -I ", " -D ", 1), "ssh", "can't be reached"},
	{"a host key that is not known", onActive, `cp /etc/understudy/known_hosts /run/hosts; echo '# nobody' >/etc/understudy/known_hosts`, `cp /run/hosts /etc/understudy/known_hosts`, "ssh", "known_hosts"},
	{"held", onStandby, `failover-notify hold --reason drill`, `failover-notify release`, "eligible", "failover-notify release"},
	{"a program that others may change", onStandby, `chmod 777 /usr/bin/track-traefik`, `chmod 755 /usr/bin/track-traefik`, "programs", "track-traefik"},
	{"a replica that can be written to", onStandby, `zfs set readonly=off ` + Apps + `/app1`, `zfs set readonly=on ` + Apps + `/app1`, "replica", "readonly=on"},
	{"a replica that was written to", onStandby, `zfs set readonly=off ` + Apps + `/app1; zfs mount ` + Apps + `/app1; head -c 100000 /dev/urandom >/` + Apps + `/app1/x; zfs unmount ` + Apps + `/app1; zfs set readonly=on ` + Apps + `/app1`, `zfs-replicate rejoin --yes`, "replica", "zfs-replicate rejoin"},
	{"a config that differs", onStandby, `cp /etc/understudy/config.yaml /run/config; sed -i 's/stop_timeout: .*/stop_timeout: 9s/' /etc/understudy/config.yaml`, `cp /run/config /etc/understudy/config.yaml`, "config", "services.stop_timeout"},
	{"the interface down", onStandby, `ip link add spare type veth peer name spare2; cp /etc/understudy/config.yaml /run/config; sed -i 's/^interface: .*/interface: spare/' /etc/understudy/config.yaml`, `cp /run/config /etc/understudy/config.yaml; ip link del spare`, "interface", "ip link set spare up"},
	{"passwords that differ", onStandby, `cp /etc/understudy/config.yaml /run/config; (umask 077; echo other >/run/password); echo 'keepalived: {password_file: /run/password}' >>/etc/understudy/config.yaml`, `cp /run/config /etc/understudy/config.yaml`, "password", "the same keepalived.password_file"},
	{"a first project that is none", onStandby, `cp /etc/understudy/config.yaml /run/config; sed -i '/first:/{n;s/traefik/treafik/}' /etc/understudy/config.yaml`, `cp /run/config /etc/understudy/config.yaml`, "first", "treafik"},
	{"a channel that does not answer", onStandby, `cp /etc/understudy/config.yaml /run/config; (umask 077; echo ntfy://127.0.0.1:9/drill >/run/urls); echo 'notify: {urls_file: /run/urls}' >>/etc/understudy/config.yaml`, `cp /run/config /etc/understudy/config.yaml`, "notify", "cannot connect"},
	{"no witness in reach", onStandby, `ip route add blackhole 10.77.0.1/32`, `ip route del blackhole 10.77.0.1/32`, "witness", "witness.targets"},
	{"nothing that replicates", onStandby, `mv /etc/cron.d/zfs-replicate /run/cron`, `mv /run/cron /etc/cron.d/zfs-replicate`, "schedule", "/etc/cron.d/zfs-replicate"},
	{"a project's file gone", onStandby, `mv ` + nodeEnv + ` /run/node.env`, `mv /run/node.env ` + nodeEnv, "project-file", nodeEnv},
	{"data beside the datasets", onActive, `cp ` + Checkout + `/apps/app2/docker-compose.yml /run/app2.yml; mkdir -p /srv/beside; sed -i 's|:/data"|&, "/srv/beside:/beside"|' ` + Checkout + `/apps/app2/docker-compose.yml`, `cp /run/app2.yml ` + Checkout + `/apps/app2/docker-compose.yml`, "bind", "/srv/beside lies on"},
	// Its name counts. It must not be taken for an application.
	{"a container that revives others", onStandby, `docker tag webapp:lab spare/autoheal:lab; docker run -d --name autoheal --network none -v /usr/bin/observer:/observer:ro --entrypoint /observer spare/autoheal:lab node 127.0.0.1:9 ` + VirtualIP + ` /data >&2`, `docker rm -f autoheal >&2; docker rmi spare/autoheal:lab >&2`, "reviver", "docker rm -f autoheal"},
	{"a dataset gone", onStandby, `zfs rename ` + Apps + `/app2 ` + Pool + `/elsewhere`, `zfs rename ` + Pool + `/elsewhere ` + Apps + `/app2`, "dataset", "zfs-replicate run"},
	{"a replica that is mounted", onStandby, `zfs mount ` + Apps + `/app2`, `zfs unmount ` + Apps + `/app2`, "replica-mounted", "zfs unmount"},
	{"a replica that a boot mounts", onStandby, `zfs set canmount=on ` + Apps + `/app2`, `zfs set canmount=noauto ` + Apps + `/app2; zfs unmount ` + Apps + `/app2 2>/dev/null || true`, "replica-canmount", "canmount=noauto"},
}

// poolFile is the file in which lab.MakePool makes a pool.
const poolFile = "/var/lib/understudy-disk/" + Pool + ".pool"

// plantedBelow returns the faults of ZFS and of the machine, by the kind of
// nodes.
var plantedBelow = map[lab.Kind][]planted{
	lab.NS: {
		{"the pool degraded", onStandby, `echo 'zpool degraded=` + Pool + `' >/var/lib/zfssim/faults`, `rm -f /var/lib/zfssim/faults`, "pool", "zpool status"},
		{"ZFS hangs", onStandby, `printf 'list hang\nget hang\n' >/var/lib/zfssim/faults`, `rm -f /var/lib/zfssim/faults`, "look-zfs", "zpool status"},
	},
	lab.VM: {
		{"the pool degraded", onStandby, `one=` + poolFile + `; truncate -r $one $one.two; zpool attach -w ` + Pool + ` $one $one.two; zpool offline ` + Pool + ` $one.two`,
			`zpool detach ` + Pool + ` ` + poolFile + `.two; rm ` + poolFile + `.two`, "pool", "zpool status"},
		{"a clock that is wrong", onStandby, `date -s "@$(($(date +%s) + 3600))" >&2`, `date -s "@$(($(date +%s) - 3600))" >&2`, "clock", "timedatectl"},
		{"ZFS hangs", onStandby, `zfs=$(readlink -f "$(command -v zfs)"); cp "$zfs" /run/zfs
			printf '%s\n' '#!/bin/sh' 'case $1 in list|get) exec sleep 3600 ;; esac' 'exec /run/zfs "$@"' >/run/zfs-hangs
			chmod 755 /run/zfs-hangs; mount --bind /run/zfs-hangs "$zfs"`, `umount "$(readlink -f "$(command -v zfs)")"`, "look-zfs", "zpool status"},
	},
}

// diagnosed plants one fault after the other on a healthy pair and checks that
// doctor finds it and says what to do.
func diagnosed(t *testing.T, d *takeover) {
	for _, n := range d.Lab.Nodes {
		// Nothing in the lab schedules replication; doctor checks that
		// something does.
		d.shell(t, n, `mkdir -p /etc/cron.d; echo '* * * * * root zfs-replicate run' >/etc/cron.d/zfs-replicate`)
	}
	healthy := d.findings(t)
	if Kind() == lab.VM {
		// A check may take eight seconds, which a busy emulated processor
		// exceeds now and then: an abandoned check says nothing about the pair.
		d.await(t, func() string {
			for _, f := range healthy {
				if strings.HasPrefix(f.Check, "look-") {
					healthy = d.findings(t)
					return "a diagnosis with all looks: " + f.What
				}
			}
			return ""
		})
	}
	for _, f := range healthy {
		t.Logf("on a healthy pair: %s %s %s: %s", f.Severity, f.Node, f.Check, f.What)
		if f.Severity == doctor.Error && !slowCheck(f) {
			t.Errorf("nothing is wrong, and doctor finds: %+v", f)
		}
	}
	before, faults := healthy, slices.Concat(plantedFaults, plantedBelow[Kind()])
	for _, p := range faults {
		t.Run(p.name, func(t *testing.T) {
			began, node := time.Now(), p.on(d)
			if p.foundIn(before) {
				t.Errorf("doctor finds it before it is there: %+v", before)
			}
			d.shell(t, node, p.plant)
			found := false
			var all []doctor.Finding
			d.await(t, func() string {
				all = d.findings(t)
				found = p.foundIn(all)
				if found || time.Since(began) > atMost(15*time.Second) {
					return ""
				}
				return "a finding"
			})
			if !found {
				t.Errorf("doctor finds no %s with the fix %q among:", p.check, p.fix)
				for _, f := range all {
					t.Logf("%+v", f)
				}
			}
			if p.undo != "" {
				d.shell(t, node, p.undo)
			}
			for _, name := range []string{"docker", "watch", "keepalived"} {
				d.must(t, lab.StartService(d.ctx, node, name))
			}
			before = all
			t.Logf("%.1f s", time.Since(began).Seconds())
		})
	}
	d.heal(t)
	d.await(t, func() string {
		all := d.findings(t)
		for _, f := range all {
			if f.Severity == doctor.Error && !slowCheck(f) {
				return "a pair without errors: " + f.Check + ": " + f.What
			}
		}
		for _, p := range faults {
			if p.foundIn(all) {
				return "a doctor who no longer finds " + p.name
			}
		}
		return ""
	})
}

// slowCheck reports whether a finding is about the settings of
// keepalivedConfig. An emulated processor cannot run the check as often as
// doctor demands, so the finding is correct.
func slowCheck(f doctor.Finding) bool {
	return Kind() == lab.VM && f.Check == "keepalived" && slices.ContainsFunc([]string{"interval is 2", "timeout is 3", "fall is 3"},
		func(own string) bool { return strings.HasSuffix(f.What, ": "+own) })
}

func (d *takeover) findings(t *testing.T) []doctor.Finding {
	t.Helper()
	var report struct {
		Findings []doctor.Finding `json:"findings"`
	}
	result := d.tries(t, d.active, "failover-notify", "doctor", "-o", "json")
	if err := json.Unmarshal([]byte(result.Stdout), &report); err != nil {
		t.Fatalf("doctor ended with %d: %v\n%s%s", result.Code, err, result.Stdout, result.Stderr)
	}
	return report.Findings
}
