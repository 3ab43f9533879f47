//go:build drill

package drill

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/failover/doctor"
)

// planted is a fault that doctor has to find, and to know a way out of.
type planted struct {
	name  string
	on    func(*takeover) lab.Node
	plant string
	mend  string
	check string
	fix   string // part of it
}

func onStandby(d *takeover) lab.Node { return d.standby }
func onActive(d *takeover) lab.Node  { return d.active }

// installed is keepalived's file.
const installed = "/etc/keepalived/keepalived.conf"

// plantedFaults are those that need the real programs. What can be told by a
// node's facts alone is planted in pkg/failover/doctor.
var plantedFaults = []planted{
	{"keepalived's state", onStandby, `cp ` + installed + ` /run/good; sed -i 's/state BACKUP/state MASTER/' ` + installed, `cp /run/good ` + installed, "keepalived", "state BACKUP"},
	{"keepalived's nopreempt", onActive, `cp ` + installed + ` /run/good; sed -i '/nopreempt/d' ` + installed, `cp /run/good ` + installed, "keepalived", "nopreempt"},
	{"what keepalived refuses", onStandby, `cp ` + installed + ` /run/good; sed -i 's/virtual_router_id .*/virtual_router_id 999/' ` + installed, `cp /run/good ` + installed, "keepalived-test", "keepalived"},
	{"no keepalived.conf", onStandby, `mv ` + installed + ` /run/good`, `cp /run/good ` + installed, "look-keepalived", "failover-notify keepalived"},
	{"keepalived dead", onStandby, `touch /run/lab/keepalived.stop /run/lab/keepalived.killed; echo 1 >/sys/fs/cgroup/lab-keepalived/cgroup.kill`, "", "alert", "keepalived"},
	{"the watcher dead", onStandby, `touch /run/lab/watch.stop /run/lab/watch.killed; echo 1 >/sys/fs/cgroup/lab-watch/cgroup.kill`, "", "alert", "understudy"},
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
	{"the pool degraded", onStandby, `echo 'zpool degraded=` + Pool + `' >/var/lib/zfssim/faults`, `rm -f /var/lib/zfssim/faults`, "pool", "zpool status"},
	{"ZFS hangs", onStandby, `printf 'list hang\nget hang\n' >/var/lib/zfssim/faults`, `rm -f /var/lib/zfssim/faults`, "look-zfs", "zpool status"},
}

// diagnosed plants one fault after the other on a pair with which nothing is
// wrong, and sees that doctor finds it, and what is to be done.
func diagnosed(t *testing.T, d *takeover) {
	for _, n := range d.Lab.Nodes {
		// Nothing in the lab replicates by itself; what does so is looked for.
		d.shell(t, n, `mkdir -p /etc/cron.d; echo '* * * * * root zfs-replicate run' >/etc/cron.d/zfs-replicate`)
	}
	healthy := d.findings(t)
	for _, f := range healthy {
		t.Logf("on a healthy pair: %s %s %s: %s", f.Severity, f.Node, f.Check, f.What)
		if f.Severity == doctor.Error {
			t.Errorf("nothing is wrong, and doctor finds: %+v", f)
		}
	}
	for _, p := range plantedFaults {
		t.Run(p.name, func(t *testing.T) {
			began, node := time.Now(), p.on(d)
			d.shell(t, node, p.plant)
			found := false
			var all []doctor.Finding
			d.await(t, func() string {
				all = d.findings(t)
				for _, f := range all {
					found = found || f.Check == p.check && strings.Contains(f.What+f.Why+f.Fix, p.fix) && f.Fix != ""
				}
				if found || time.Since(began) > 15*time.Second {
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
			if p.mend != "" {
				d.shell(t, node, p.mend)
			}
			for _, name := range []string{"docker", "watch", "keepalived"} {
				d.must(t, lab.StartService(d.ctx, node, name))
			}
		})
	}
	d.heal(t)
	d.await(t, func() string {
		for _, f := range d.findings(t) {
			if f.Severity == doctor.Error {
				return "a pair without errors: " + f.Check + ": " + f.What
			}
		}
		return ""
	})
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
