package keepalived_test

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/internal/testhost"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/keepalived"
)

var update = flag.Bool("update", false, "write packaging/keepalived again")

// pair is the example of the documentation.
func pair() *config.Config {
	return &config.Config{
		Nodes: []config.Node{
			{Name: "primary", Address: "192.168.86.47", Priority: 100},
			{Name: "secondary", Address: "192.168.86.48", Priority: 90},
		},
		VirtualIP: "192.168.86.100/24", Interface: "enp2s0", RunDir: "/run/understudy",
		Keepalived: config.Keepalived{
			VirtualRouterID: 51, AdvertInterval: time.Second, Version: 2, Unicast: true,
			File: "/etc/keepalived/keepalived.conf", Programs: "/usr/bin",
		},
	}
}

func render(t *testing.T, cfg *config.Config, node int, password string) string {
	t.Helper()
	text, err := keepalived.Render(cfg, cfg.Nodes[node], password)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The packaged files equal the rendered ones.
func TestPackaged(t *testing.T) {
	for i, node := range pair().Nodes {
		file := filepath.Join("../../packaging/keepalived", node.Name+".conf")
		want := render(t, pair(), i, "")
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != want {
			t.Errorf("%s is not what is rendered; write it with: go test ./pkg/keepalived -update\n%s", file, want)
		}
	}
}

// variants returns changes of the configuration that change the rendering.
func variants() map[string]func(*config.Config) string {
	return map[string]func(*config.Config) string{
		"unicast":   func(*config.Config) string { return "" },
		"multicast": func(c *config.Config) string { c.Keepalived.Unicast = false; return "" },
		"password":  func(*config.Config) string { return "s3cret.x" },
		"version 3": func(c *config.Config) string {
			c.Keepalived.Version, c.Keepalived.AdvertInterval = 3, 100*time.Millisecond
			return ""
		},
		"programs elsewhere": func(c *config.Config) string { c.Keepalived.Programs = "/usr/local/bin"; return "" },
	}
}

// A rendered file has no dangerous differences.
func TestRenderedIsGood(t *testing.T) {
	for name, change := range variants() {
		cfg := pair()
		password := change(cfg)
		for i, node := range cfg.Nodes {
			found, err := keepalived.Compare(render(t, cfg, i, password), cfg, node, password)
			if err != nil || len(found) > 0 {
				t.Errorf("%s on %s: %v, error %v", name, node.Name, found, err)
			}
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*config.Config)
		password string
		want     string
	}{
		"no address":         {func(c *config.Config) { c.VirtualIP = "" }, "", "virtual_ip"},
		"no interface":       {func(c *config.Config) { c.Interface = "" }, "", "interface"},
		"no priority":        {func(c *config.Config) { c.Nodes[0].Priority = 0 }, "", "priority"},
		"host name":          {func(c *config.Config) { c.Nodes[1].Address = "b.lan" }, "", "b.lan"},
		"IPv6 and version 2": {func(c *config.Config) { c.VirtualIP = "fd00::1/64" }, "", "version"},
		"long password":      {func(*config.Config) {}, "ninechars", "9 characters"},
		"odd password":       {func(*config.Config) {}, `a"b`, "letters"},
	} {
		cfg := pair()
		c.change(cfg)
		_, err := keepalived.Render(cfg, cfg.Nodes[0], c.password)
		incomplete, ok := err.(*keepalived.IncompleteError)
		if !ok || !strings.Contains(err.Error(), c.want) || incomplete.Hint() == "" || incomplete.ExitCode() != 78 {
			t.Errorf("%s: %v", name, err)
		} else if c.password != "" && strings.Contains(err.Error(), c.password) {
			t.Errorf("%s: the error says the password", name)
		}
	}
}

// Each dangerous change is found, with its line, its effect and its fix.
func TestCompare(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"state MASTER":          {"state BACKUP", "state MASTER", "state MASTER"},
		"no nopreempt":          {"    nopreempt\n", "", "nopreempt is missing"},
		"preempt_delay":         {"    nopreempt\n", "    nopreempt\n    preempt_delay 5\n", "preempt_delay"},
		"no_accept":             {"    nopreempt\n", "    nopreempt\n    no_accept\n", "no_accept"},
		"strict":                {"global_defs {", "global_defs {\n vrrp_strict", "vrrp_strict"},
		"weight":                {"    weight 0\n", "    weight -20\n", "weight -20"},
		"weight of the entry":   {"        traefik\n", "        traefik weight -20\n", "weight -20"},
		"number":                {"virtual_router_id 51", "virtual_router_id 52", "virtual_router_id is 52, not 51"},
		"priority":              {"priority 100", "priority 90", "priority is 90, not 100"},
		"no priority":           {"    priority 100\n", "    priority 120\n", "priority is 120"},
		"advert":                {"advert_int 1", "advert_int 2", "advert_int is 2, not 1"},
		"no announcements":      {"    garp_master_refresh 5\n", "", "garp_master_refresh is missing"},
		"rare announcements":    {"garp_master_refresh 5", "garp_master_refresh 600", "garp_master_refresh is 600"},
		"interface":             {"interface enp2s0", "interface eth7", "interface is eth7"},
		"address":               {"192.168.86.100/24", "192.168.86.101/24", "virtual_ipaddress has 192.168.86.101/24"},
		"prefix length":         {"192.168.86.100/24", "192.168.86.100", "192.168.86.100/32"},
		"version":               {"    nopreempt\n", "    nopreempt\n    version 3\n", "VRRP version is 3"},
		"no security":           {"    enable_script_security\n", "", "enable_script_security"},
		"no user":               {"    script_user root\n", "", "no script_user"},
		"other user":            {"script_user root", "script_user nobody", "script_user is nobody"},
		"no notify":             {`    notify "/usr/bin/failover-notify event"` + "\n", "", "notify is missing"},
		"other program":         {"failover-notify master", "failover.sh master", "notify_master calls"},
		"hook twice":            {`    notify_stop "`, "    notify_stop \"/bin/true\"\n    notify_stop \"", "notify_stop again"},
		"no track_file":         {"        eligible weight 0 reverse\n", "", "/run/understudy/eligible is missing"},
		"no reverse":            {"        eligible weight 0 reverse\n", "        eligible weight 0\n", `weight "0"`},
		"init_file":             {"    weight 0 reverse\n}", "    weight 0 reverse\n    init_file 1\n}", "init_file"},
		"other file":            {"/run/understudy/eligible", "/run/eligible", "/run/understudy/eligible is missing"},
		"check not tracked":     {"        traefik\n", "        other\n", "track-traefik is not tracked"},
		"slow check":            {"interval 1", "interval 5", "interval is 5"},
		"short timeout":         {"timeout 1", "timeout 0.5", "timeout is 0.5"},
		"no peer":               {"        192.168.86.48\n", "        192.168.86.49\n", "unicast_peer lacks"},
		"multicast":             {"    unicast_peer {\n        192.168.86.48\n    }\n", "", "unicast_peer is missing"},
		"source":                {"unicast_src_ip 192.168.86.47", "unicast_src_ip 192.168.86.9", "unicast_src_ip is"},
		"password of their own": {"    nopreempt\n", "    nopreempt\n    authentication {\n auth_type PASS\n auth_pass x\n }\n", "auth_pass is set"},
		"long password":         {"    nopreempt\n", "    nopreempt\n    authentication {\n auth_pass ninechars\n }\n", "auth_pass has 9 characters"},
		"condition":             {"    nopreempt\n", "    @home nopreempt\n", "can't be checked"},
		"cable":                 {"    nopreempt\n", "    nopreempt\n    dont_track_primary\n", "dont_track_primary"},
		"commented out":         {"    nopreempt\n", "    ! nopreempt\n", "nopreempt is missing"},
		"group":                 {"vrrp_instance VI_1 {", "vrrp_sync_group G {\n group {\n VI_1\n }\n}\nvrrp_instance VI_1 {", "vrrp_sync_group"},
		"second instance":       {"global_defs {", "vrrp_instance VI_2 {\n interface enp2s0\n virtual_router_id 51\n}\nglobal_defs {", "another vrrp_instance"},
		"missing include":       {"global_defs {", "include /nonexistent/x.conf\nglobal_defs {", "/nonexistent/x.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := pair()
			good := render(t, cfg, 0, "")
			bad := strings.Replace(good, c.old, c.new, 1)
			if bad == good {
				t.Fatalf("%q is not in the rendering", c.old)
			}
			found, err := keepalived.Compare(bad, cfg, cfg.Nodes[0], "")
			if err != nil {
				t.Fatal(err)
			}
			named := false
			for _, d := range found {
				named = named || strings.Contains(d.String(), c.want)
				if d.Where == "" || d.What == "" || d.Why == "" || d.Fix == "" {
					t.Errorf("incomplete: %+v", d)
				}
			}
			if !named {
				t.Errorf("%q is not said: %v", c.want, found)
			}
		})
	}
}

// Passwords are compared and never printed.
func TestComparePassword(t *testing.T) {
	cfg := pair()
	found, err := keepalived.Compare(render(t, cfg, 0, "pa55wd"), cfg, cfg.Nodes[0], "s3cret")
	if err != nil || len(found) != 1 || strings.Contains(found[0].String(), "pa55wd") || strings.Contains(found[0].String(), "s3cret") {
		t.Errorf("%v, error %v", found, err)
	}
}

// Layout makes no difference, and includes work as in keepalived.
func TestCompareFileWithIncludes(t *testing.T) {
	dir := t.TempDir()
	cfg := pair()
	text := render(t, cfg, 0, "")
	begin := strings.Index(text, "vrrp_instance")
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("instance.conf", strings.ReplaceAll(text[begin:], "    state BACKUP", "\t state \"BACKUP\" # not MASTER"))
	main := write("main.conf", strings.ReplaceAll(text[:begin], " {\n", "\n{\n")+"include inst*.conf\ninclude none*.conf\n")
	found, err := keepalived.CompareFile(main, cfg, cfg.Nodes[0], "")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		if !strings.Contains(d.What, "/usr/bin/") { // the programs need not be here
			t.Errorf("%s", d)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "instance.conf"), []byte(strings.Replace(text[begin:], "BACKUP", "MASTER", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err = keepalived.CompareFile(main, cfg, cfg.Nodes[0], "")
	if err != nil || len(found) == 0 || !strings.HasPrefix(found[0].Where, filepath.Join(dir, "instance.conf")+":3") {
		t.Errorf("%v, error %v", found, err)
	}
	for _, broken := range []string{"a {", "}", "{"} {
		if _, err := keepalived.CompareFile(write("broken.conf", broken), cfg, cfg.Nodes[0], ""); err == nil {
			t.Errorf("%q is accepted", broken)
		}
	}
	if _, err := keepalived.CompareFile(filepath.Join(dir, "missing"), cfg, cfg.Nodes[0], ""); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("%v", err)
	}
}

func FuzzCompare(f *testing.F) {
	cfg := pair()
	text, err := keepalived.Render(cfg, cfg.Nodes[0], "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("${a} {\n}\n\\")
	f.Add("a \"b\n{ } }")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include") {
			return // no files of this machine
		}
		_, _ = keepalived.Compare(text, cfg, cfg.Nodes[0], "") // it must not panic
	})
}

func TestInsecure(t *testing.T) {
	testhost.NeedRoot(t, "to change the owners of files")
	dir := t.TempDir() // below /tmp, which is sticky
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if problem := keepalived.Insecure(program); problem != "" {
		t.Fatal(problem)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		do, undo func() error
		want     string
	}{
		{func() error { return os.Chmod(program, 0o757) }, func() error { return os.Chmod(program, 0o755) }, "writable by everybody"},
		{func() error { return os.Chmod(program, 0o644) }, func() error { return os.Chmod(program, 0o755) }, "executable"},
		{func() error { return os.Chown(program, 1000, 0) }, func() error { return os.Chown(program, 0, 0) }, "belongs to user 1000"},
		{func() error { return os.Chmod(dir, 0o777) }, func() error { return os.Chmod(dir, 0o755) }, "writable by everybody"},
		{func() error { return os.Rename(program, program+"x") }, func() error { return os.Rename(program+"x", program) }, "does not exist"},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{program, link} {
			if problem := keepalived.Insecure(path); !strings.Contains(problem, c.want) {
				t.Errorf("%s: %q, want %q", path, problem, c.want)
			}
		}
		if err := c.undo(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHolds(t *testing.T) {
	for text, want := range map[string]bool{"127.0.0.1/32": true, "192.0.2.77/24": false} {
		if have, err := keepalived.Holds(netip.MustParsePrefix(text), "lo"); have != want || err != nil {
			t.Errorf("%s: %v, error %v", text, have, err)
		}
	}
}
