package doctor

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// found returns the findings, without those that every test node has: it has not
// joined, and no watcher runs.
func (n *node) found() []string {
	n.t.Helper()
	facts := n.doctor().Facts(n.t.Context())
	if text, err := json.Marshal(facts); err != nil || strings.Contains(string(text), "/secret") {
		n.t.Errorf("error %v, facts with a secret: %s", err, text)
	}
	var checks []string
	for _, f := range judgeAll(n.cfg, []Facts{facts}) {
		if f.Check != "eligible" && f.Check != "alert" {
			checks = append(checks, f.Check+": "+f.What)
		}
	}
	return checks
}

// finds checks that there is exactly one finding, and its text.
func (n *node) finds(check, says string) {
	n.t.Helper()
	if found := n.found(); len(found) != 1 || !strings.HasPrefix(found[0], check+": ") || !strings.Contains(found[0], says) {
		n.t.Errorf("found %q, want %s: %s", found, check, says)
	}
}

func TestFactsOfAGoodNode(t *testing.T) {
	n := newNode(t)
	if found := n.found(); len(found) > 0 {
		t.Errorf("%q", found)
	}
	f := n.doctor().Facts(t.Context())
	if f.System != "debian 13" {
		t.Errorf("system %q", f.System)
	}
	if z := f.ZFS; z.Version != "2.3.9" || z.Module != "2.3.9" || len(z.Pools) != 1 || z.Pools[0].Percent != 12 || len(z.Pools[0].Features) != 2 || z.Datasets[1].Used != 1000 {
		t.Errorf("%+v", z)
	}
	if s := f.Services; s.Images["web:1"] != "sha256:1" || s.Networks["proxy"] != "bridge" || len(s.Projects[0].Places) != 1 || !s.Projects[0].Places[0].Replicated {
		t.Errorf("%+v", s)
	}
	if p := f.Peers[0]; p.Node != "b" || p.Open || p.Ahead > p.Within+1 || p.Ahead < -p.Within-1 {
		t.Errorf("%+v", p)
	}
	if f.Config["services.directory"] == "" || f.Config["nodes"] == "" || len(f.Channels.List) != 1 {
		t.Errorf("%+v", f)
	}
}

// Faults on real files, with real programs that misbehave.
func TestPlantedInFiles(t *testing.T) {
	for _, c := range []struct {
		name, check, says string
		plant             func(*node)
	}{
		{"host key", "ssh", "its host key is not known", func(n *node) {
			n.program("ssh", "echo 'Host key verification failed.' >&2; exit 255\n")
		}},
		{"open key", "ssh-key", "any command on b", func(n *node) { n.program("ssh", strings.Replace(goodSSH, "exit 76", "exit 0", 1)) }},
		{"clock", "clock", "behind", func(n *node) {
			n.program("ssh", strings.Replace(goodSSH, "date -u", "date -u -d '1 hour ago'", 1))
		}},
		{"zfs fails", "look-zfs", "The ZFS modules", func(n *node) { n.program("zfs", "echo 'The ZFS modules cannot be loaded.' >&2; exit 1\n") }},
		{"zfs without its module", "zfs-version", "2.1.0", func(n *node) {
			n.program("zfs", strings.Replace(goodZFS, "kmod-2.3.9", "kmod-2.1.0", 1))
		}},
		{"pool", "pool", "DEGRADED", func(n *node) { n.program("zpool", strings.Replace(goodZpool, "ONLINE", "DEGRADED", 1)) }},
		{"zfs allow", "zfs-allow", "rename", func(n *node) {
			n.cfg.SSH.User = "replicate"
			n.program("zfs", `[ "$1" != allow ] || { printf '\tuser replicate create,receive,mount,destroy,readonly,canmount,userprop\n'; exit 0; }`+"\n"+goodZFS)
		}},
		{"no cron", "schedule", "zfs-replicate", func(n *node) { os.Remove(n.path("etc/cron.d/zfs-replicate")) }},
		{"cron commented out", "schedule", "zfs-replicate", func(n *node) {
			n.write("etc/cron.d/zfs-replicate", "#* * * * * root zfs-replicate run --scheduled\n", 0o644)
		}},
		{"cron with a dot", "schedule", "zfs-replicate", func(n *node) {
			if err := os.Rename(n.path("etc/cron.d/zfs-replicate"), n.path("etc/cron.d/zfs-replicate.cron")); err != nil {
				t.Fatal(err)
			}
		}},
		{"unit", "boot", "understudy-join", func(n *node) {
			for _, dir := range []string{"run/systemd/system/x", "etc/systemd/system/zfs-mount.service.wants/understudy-fence.service", "etc/systemd/system/multi-user.target.wants/understudy.service"} {
				n.write(dir, "", 0o644)
			}
		}},
		{"program", "programs", "zfs-replicate", func(n *node) { n.cfg.SSH.RemoteCommand = n.path("bin/zfs-replicate-2") }},
		{"urls", "notify", "other users can access it", func(n *node) { os.Chmod(n.cfg.Notify.URLsFile, 0o644) }},
		{"no urls", "notify", "does not exist", func(n *node) { os.Remove(n.cfg.Notify.URLsFile) }},
		{"channel", "notify", "connection refused", func(n *node) { n.write("urls", "ntfy://127.0.0.1:1/secret\n", 0o600) }},
		{"bad channel", "notify", "notification channel line 2: not a URL", func(n *node) {
			text, _ := os.ReadFile(n.cfg.Notify.URLsFile)
			n.write("urls", strings.TrimSpace(string(text))+"\njust a secret\n", 0o600)
		}},
		{"engine", "engine", "does not run", func(n *node) { os.Remove(n.path("docker.sock")) }},
		{"engine too old", "engine", "it speaks API 1.40 at most", func(n *node) { n.gate.Upgrade("1.12", "1.40") }},
		{"engine too new", "engine", "client version 1.56 is too old", func(n *node) { n.gate.Upgrade("1.60", "1.70") }},
		{"compose", "compose", "is not a docker command", func(n *node) {
			n.program("docker", `echo "docker: 'compose' is not a docker command." >&2; exit 1`+"\n")
		}},
		{"first", "first", "treafik", func(n *node) { n.cfg.Services.First = []string{"treafik"} }},
		{"broken project", "project", "bad", func(n *node) { n.write("srv/bad/compose.yaml", "services: [1]\n", 0o644) }},
		{"image", "images", "gone:2", func(n *node) { n.write("srv/more/compose.yaml", "services: {x: {image: 'gone:2'}}\n", 0o644) }},
		{"env_file", "project-file", "local.env", func(n *node) {
			n.write("srv/more/compose.yaml", "services: {x: {image: 'web:1', env_file: [local.env]}}\n", 0o644)
		}},
		{"restart", "restart", "always", func(n *node) {
			n.write("srv/more/compose.yaml", "services: {x: {image: 'web:1', restart: always}}\n", 0o644)
		}},
		{"autoheal", "reviver", "autoheal", func(n *node) {
			n.engine(`[{"Id": "9", "Names": ["/autoheal"], "Image": "willfarrell/autoheal:1.2", "State": "running"}]`)
		}},
		{"bind", "bind", "/elsewhere lies on", func(n *node) {
			n.write("elsewhere/file", "", 0o644)
			n.write("srv/more/compose.yaml", "services: {x: {image: 'web:1', volumes: ['"+n.path("elsewhere")+":/x', '/etc/localtime:/etc/localtime:ro', '"+n.cfg.Services.Socket+":/s']}}\n", 0o644)
		}},
		{"bind by a link", "bind", "/tank/db/link lies on", func(n *node) {
			n.write("elsewhere/file", "", 0o644)
			n.write("tank/db/x", "", 0o644)
			if err := os.Symlink(n.path("elsewhere"), n.path("tank/db/link")); err != nil {
				t.Fatal(err)
			}
			n.write("srv/more/compose.yaml", "services: {x: {image: 'web:1', volumes: ['"+n.path("tank/db/link")+":/x']}}\n", 0o644)
		}},
		{"volume", "volume", "volume more_db lies on", func(n *node) {
			n.engine(`[{"Id": "9", "Names": ["/web"], "Image": "web:1", "State": "running", "Labels": {"com.docker.compose.project": "web"},
				"Mounts": [{"Type": "volume", "Name": "more_db", "Source": "` + n.write("docker/volumes/more_db/_data/x", "", 0o644) + `", "RW": true}]}]`)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t)
			c.plant(n)
			n.finds(c.check, c.says)
		})
	}
}

// Engines print different details of a network without options.
func TestNetworksWithOptions(t *testing.T) {
	n := newNode(t)
	for text, want := range map[string]string{
		`{"Driver": "bridge", "Options": {}}`: "bridge",
		`{"Driver": "bridge", "EnableIPv4": true, "Options": {"com.docker.network.enable_ipv4": "true"}}`: "bridge",
		`{"Driver": "bridge", "Internal": true}`:                                                          "bridge with options",
		`{"Driver": "macvlan", "Options": {"parent": "eth0"}}`:                                            "macvlan with options",
		`{"Driver": "bridge", "EnableIPv6": true, "Options": null}`:                                       "bridge with options",
	} {
		n.network = text
		if got := n.doctor().Facts(t.Context()).Services.Networks["proxy"]; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestACheckoutBringsWhatGitHas(t *testing.T) {
	n := newNode(t)
	n.write("srv/more/compose.yaml", "services: {x: {image: 'web:1', volumes: ['./conf:/c', './conf-2:/d', './one.yaml:/o', './data:/data']}}\n", 0o644)
	for _, name := range []string{"conf/a", "conf-2/b", "one.yaml", "data/file"} {
		n.write("srv/more/"+name, "x", 0o644)
	}
	n.write("srv/.gitignore", "data/\n", 0o644)
	for _, argv := range [][]string{{"init", "-q"}, {"add", "."}} {
		if out, err := exec.Command("git", append([]string{"-C", n.path("srv")}, argv...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", argv, err, out)
		}
	}
	n.finds("bind", "/srv/more/data lies on")
}

// A check that hangs is named, and stops no other check.
func TestHangingCheck(t *testing.T) {
	n := newNode(t)
	n.program("zpool", "exec sleep 60\n")
	d := n.doctor()
	d.Patience = time.Second
	began := time.Now()
	f := d.Facts(t.Context())
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	at := slices.IndexFunc(f.Failed, func(l FailedCheck) bool { return l.Check == "zfs" })
	if at < 0 || !f.Failed[at].Hung || f.ZFS != nil || f.Services == nil || f.Status == nil {
		t.Errorf("%+v", f.Failed)
	}
}

// The other node is asked over ssh, and both are judged together.
func TestExamine(t *testing.T) {
	n := newNode(t)
	other := healthyNode("b", "a", true)
	other.Status.Term = 4
	text, err := json.Marshal(Local{Facts: other})
	if err != nil {
		t.Fatal(err)
	}
	answer := n.write("answer.json", string(text), 0o644)
	n.program("ssh", `case "$*" in *" -- root@127.0.0.1 failover-notify doctor --local -o json") exec cat `+answer+` ;; esac`+"\n"+goodSSH)
	r := n.doctor().Examine(t.Context())
	has := func(node, check string) bool {
		return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Node == node && f.Check == check })
	}
	if !has("", "config") || !has("a", "projects-differ") || r.Works || r.Lost == nil || r.Lost.Bytes != 3<<20 {
		t.Errorf("%+v", r)
	}
	n.program("ssh", `case "$*" in *doctor*) exec sleep 60 ;; esac`+"\n"+goodSSH)
	d := n.doctor()
	d.Patience = time.Second
	r = d.Examine(t.Context())
	if !has("b", "answers") || !slices.Equal(r.NotAnswering, []string{"b"}) || r.Works {
		t.Errorf("%+v", r)
	}
}

// The drain can be in keepalived's unit or a drop-in, in any folder of systemd.
func TestNoDrain(t *testing.T) {
	for file, want := range map[string]bool{
		"": true,
		"etc/systemd/system/keepalived.service.d/mine.conf#[Service]\n# failover-notify drain\n":                                  true,
		"etc/systemd/system/other.service.d/understudy.conf#[Service]\nExecStop=-/usr/bin/failover-notify drain\n":                true,
		"etc/systemd/system/keepalived.service.d/understudy.conf#[Service]\nExecStop=-/usr/bin/failover-notify drain\n":           false,
		"usr/lib/systemd/system/keepalived.service.d/understudy.conf#[Service]\nExecStop=-/usr/local/bin/failover-notify drain\n": false,
		"etc/systemd/system/keepalived.service#[Service]\nExecStop=-/usr/bin/failover-notify drain\n":                             false,
	} {
		d := &Doctor{Root: t.TempDir()}
		if name, text, found := strings.Cut(file, "#"); found {
			path := filepath.Join(d.Root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := d.noDrain(); err != nil || got != want {
			t.Errorf("%q: %v, %v", file, got, err)
		}
	}
}
