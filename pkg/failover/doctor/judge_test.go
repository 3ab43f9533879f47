package doctor

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/state"
)

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// pair is a healthy pair of nodes: a is active, b its standby.
type pair struct {
	cfg  *config.Config
	a, b Facts
}

func healthy() *pair {
	cfg := &config.Config{
		Nodes:     []config.Node{{Name: "a", Address: "10.0.0.1", Priority: 100}, {Name: "b", Address: "10.0.0.2", Priority: 90}},
		VirtualIP: "10.0.0.100/24", Interface: "eth0",
		Witness:    config.Witness{Targets: []string{"ping://10.0.0.254"}},
		SSH:        config.SSH{User: "root"},
		Lag:        config.Lag{Warning: 20 * time.Minute, Critical: time.Hour},
		Notify:     config.Notify{URLsFile: "/etc/understudy/notify.urls"},
		Services:   config.Services{Directory: "/srv", Projects: []string{"*/compose.yaml"}, Pull: "never"},
		Keepalived: config.Keepalived{File: "/etc/keepalived/keepalived.conf", PasswordFile: "/etc/understudy/vrrp"},
	}
	cfg.Replication.Datasets = []config.Dataset{{Name: "tank", Recursive: true, Exclude: []string{"tank/scratch"}}}
	return &pair{cfg: cfg, a: healthyNode("a", "b", true), b: healthyNode("b", "a", false)}
}

func healthyNode(name, other string, active bool) Facts {
	s := &failover.Status{KeepalivedRuns: true, Services: &rules.ServicesStatus{Projects: 2, Running: []string{}},
		Data: &rules.DataStatus{Datasets: 2, Written: 3 << 20}, Replication: &rules.ReplicationStatus{}}
	s.PeerState = rules.PeerState{Node: name, Role: state.RoleStandby, Eligible: true, Time: now}
	if active {
		s.Role, s.HoldsAddress = state.RoleActive, true
		s.Services.Running = []string{"traefik", "web"}
		s.Replication.Sent = []rules.Sent{{Node: other, LastRun: now.Add(-42 * time.Second), LastSuccess: now.Add(-42 * time.Second)}}
	}
	dataset := func(name string, used int64) Dataset {
		d := Dataset{Source: name, Used: used, Available: 500 << 30}
		d.DatasetState = data.DatasetState{Name: name, Type: "filesystem", Mountpoint: "/" + name, Writable: active, Mounted: active, Replica: !active}
		if active {
			d.Written = 3 << 20
		}
		return d
	}
	return Facts{
		Node: name, Release: "v1", Time: now, Config: map[string]string{"virtual_ip": "1", "lag.warning": "2", "interface": name},
		Status: s, Programs: []Program{{Name: "ssh"}, {Name: "/usr/bin/track-traefik"}},
		Keepalived: &Keepalived{Version: "2.2.7", Password: "ab12"},
		Peers:      []PeerLink{{Node: other, Ahead: 0.3, Within: 0.2}},
		Interface:  &Interface{Name: "eth0", Exists: true, Up: true},
		Schedule:   &Schedule{Replication: []string{"/etc/cron.d/zfs-replicate"}, Systemd: true},
		Channels:   &Channels{List: []Channel{{Name: "ntfy (line 1)"}}},
		ZFS: &ZFS{Version: "2.3.9", Module: "2.3.9", Excluded: []string{"tank/scratch"},
			Pools:    []Pool{{Name: "tank", Health: "ONLINE", Percent: 40, Features: map[string]string{"large_blocks": "active", "zstd_compress": "active"}}},
			Datasets: []Dataset{dataset("tank", 200<<30), dataset("tank/db", 100<<30)}},
		Services: &Services{
			Images:   map[string]string{"traefik:v3": "1", "web:1": "2"},
			Networks: map[string]string{"proxy": "bridge"},
			Projects: []Project{{Name: "traefik", Places: []Place{
				{Path: "/var/run/docker.sock", Exists: true, System: true, On: "tmpfs (tmpfs)"},
				{Path: "/srv/traefik/traefik.yaml", Exists: true, InGit: true, On: "/dev/sda1 (ext4)"},
				{Path: "/etc/own.pem", Exists: true, ReadOnly: true, On: "/dev/sda1 (ext4)"},
			}}, {Name: "web", Places: []Place{{Path: "/tank/db", Exists: true, Replicated: true, On: "tank/db"}}}},
		},
	}
}

// travelled returns the other node's facts as received.
func travelled(t *testing.T, f Facts) Facts {
	t.Helper()
	text, err := json.Marshal(Local{Facts: f})
	if err != nil {
		t.Fatal(err)
	}
	var l Local
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatal(err)
	}
	return l.Facts
}

func (p *pair) report(t *testing.T) Report {
	t.Helper()
	return conclude(p.cfg, []Facts{p.a, travelled(t, p.b)}, nil)
}

func TestNothingOnAHealthyPair(t *testing.T) {
	p := healthy()
	r := p.report(t)
	if len(r.Findings) > 0 || !r.Works {
		t.Errorf("%+v", r)
	}
	if want := "A failover would work right now. Data at risk: the writes of the last 42s, about 3.0 MiB."; r.Summary != want {
		t.Errorf("%q", r.Summary)
	}
	// A takeover creates a missing plain bridge.
	p.b.Services.Networks["proxy"] = ""
	if r := p.report(t); len(r.Findings) > 0 {
		t.Errorf("%+v", r.Findings)
	}
	// The other node finds the same.
	if r := conclude(p.cfg, []Facts{p.b, travelled(t, p.a)}, nil); len(r.Findings) > 0 {
		t.Errorf("%+v", r.Findings)
	}
	for _, one := range []Facts{p.a, p.b} {
		if found := judgeAll(p.cfg, []Facts{one}); len(found) > 0 {
			t.Errorf("%s alone: %+v", one.Node, found)
		}
	}
}

func TestPlantedFaults(t *testing.T) {
	if len(faults) < 25 {
		t.Fatalf("only %d faults", len(faults))
	}
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			p := healthy()
			c.plant(p)
			r := p.report(t)
			at := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Node == c.node && f.Check == c.check && f.Severity == c.severity })
			if at < 0 {
				t.Fatalf("not found among %+v", r.Findings)
			}
			f := r.Findings[at]
			if !strings.Contains(f.What+f.Why+f.Fix, c.says) {
				t.Errorf("%+v does not say %q", f, c.says)
			}
			if f.What == "" || f.Why == "" || f.Fix == "" {
				t.Errorf("%+v lacks something", f)
			}
			// Errors make a failover fail, warnings do not.
			if want := Count(r.Findings, Error) == 0; r.Works != want || (c.severity == Error) == r.Works {
				t.Errorf("works %v: %+v", r.Works, r.Findings)
			}
		})
	}
}

// One fault makes one finding.
func TestFaultsAreFoundOnce(t *testing.T) {
	// These are several faults.
	several := []string{"both active", "none active", "keepalived too old", "data on an excluded dataset"}
	for _, c := range faults {
		p := healthy()
		c.plant(p)
		if r := p.report(t); len(r.Findings) > 1 && !slices.Contains(several, c.name) {
			t.Errorf("%s: %+v", c.name, r.Findings)
		}
	}
}

func TestANodeThatDoesNotAnswer(t *testing.T) {
	p := healthy()
	for _, c := range []struct {
		err error
		fix string
	}{
		{&remote.UnreachableError{Node: "b", Address: "10.0.0.2", Err: errors.New("no route to host")}, "systemctl status ssh"},
		{errors.New(`ask b: gate: this key is not for "failover-notify doctor --local -o json"`), "install the same release"},
	} {
		r := conclude(p.cfg, []Facts{p.a}, []Finding{unanswered(p.cfg.Nodes[1], c.err)})
		if r.Works || !strings.HasPrefix(r.Summary, "It is unknown whether a failover would work: no answer from b. Data at risk: ") {
			t.Errorf("%q", r.Summary)
		}
		if f := r.Findings[0]; f.Check != "answers" || f.Node != "b" || !strings.Contains(f.Fix, c.fix) {
			t.Errorf("%+v", f)
		}
	}
}

func TestSummaries(t *testing.T) {
	for _, c := range []struct {
		change func(*pair)
		want   string
	}{
		{func(p *pair) { p.a.Status.Data.Written = 0 }, "A failover would work right now. No known data at risk: the last replication was 42s ago, and nothing was written since the newest snapshots."},
		{func(p *pair) {
			sent := &p.a.Status.Replication.Sent[0]
			sent.LastRun, sent.Error, p.a.Status.Data.Written = sent.LastSuccess.Add(time.Second), "no route", 0
		}, "A failover would fail or lose data right now: 1 error. Data at risk: the writes of the last 42s, which could not be sent: 0 B since the newest snapshots, and those snapshots."},
		{func(p *pair) { p.b.Status.Eligible = false }, "A failover would fail or lose data right now: 1 error. Data at risk: the writes of the last 42s, about 3.0 MiB."},
		{func(p *pair) { p.a.Status.Data = nil }, "A failover would work right now. The data at risk is unknown."},
		{func(p *pair) { p.cfg.Replication.Datasets = nil }, "A failover would work right now. No dataset is replicated."},
		{func(p *pair) { p.cfg.Nodes = p.cfg.Nodes[:1] }, "There is only one node: no other node can take over."},
	} {
		p := healthy()
		c.change(p)
		if got := p.report(t).Summary; got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestPermissions(t *testing.T) {
	// The output of zfs allow on OpenZFS 2.3.
	const text = `---- Permissions on tank ---------------------------------------------
Permission sets:
	@recv create,mount,receive
Local+Descendent permissions:
	user replicate @recv,readonly
	user somebody destroy
	group backup canmount
	everyone userprop
`
	got := permissions(text, "replicate")
	for _, want := range []string{"create", "mount", "receive", "readonly", "canmount", "userprop"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
	if slices.Contains(got, "destroy") {
		t.Errorf("another's permission in %v", got)
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"2.0.20", "2.1", true}, {"2.1", "2.1", false}, {"2.10.1", "2.2", false}, {"1.9", "2.1", true}, {"2.3.9-rc1", "2.3.9", false}} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%s, %s) = %v", c.a, c.b, got)
		}
	}
}

func TestRevivers(t *testing.T) {
	for image, want := range map[string]bool{
		"willfarrell/autoheal:latest": true, "containrrr/watchtower": true, "qmcgaw/deunhealth": true, "docker-autoheal": true,
		"traefik:v3": false, "ghcr.io/me/my-healthy-app": false, "postgres:16": false,
	} {
		if got := revivers.MatchString(image); got != want {
			t.Errorf("%s: %v", image, got)
		}
	}
}
