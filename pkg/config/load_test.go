package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/understudy-ha/understudy/pkg/config"
)

// small is the least that is valid.
const small = "nodes: [{name: a, address: 10.0.0.1}]\n"

// write puts text into a config file and returns its path.
func write(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func load(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Load(config.LoadOptions{File: write(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestLoadFullFile(t *testing.T) {
	c, err := config.Load(config.LoadOptions{File: "testdata/full.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct {
		key       string
		got, want any
	}{
		{"nodes", len(c.Nodes), 2},
		{"nodes[1]", c.Nodes[1], config.Node{Name: "secondary", Address: "192.168.86.48", Priority: 90}},
		{"virtual_ip", c.VirtualIP, "192.168.86.100/24"},
		{"state_dir", c.StateDir, "/srv/state"},
		{"ssh.port", c.SSH.Port, 2222},
		{"ssh.connect_timeout", c.SSH.ConnectTimeout, 5 * time.Second},
		{"ssh.options", c.SSH.Options[0], "Ciphers=aes128-gcm@openssh.com"},
		{"datasets", len(c.Replication.Datasets), 2},
		{"datasets[0].recursive", c.Replication.Datasets[0].Recursive, true},
		{"datasets[0].exclude", c.Replication.Datasets[0].Exclude[0], "tank/Media.v2/scratch"},
		{"datasets[0].target", c.Replication.Datasets[0].TargetName(), "tank/Media.v2"},
		{"datasets[1].recursive", c.Replication.Datasets[1].Recursive, false},
		{"datasets[1].target", c.Replication.Datasets[1].TargetName(), "backup/vm 1"},
		{"keep", c.Replication.Keep, config.Keep{Last: 5, Hourly: 24, Daily: 7, Weekly: 4, Monthly: 12}},
		{"keep_on_standby", c.Replication.KeepOnStandby, config.Keep{Last: 5, Hourly: 24, Daily: 90, Weekly: 4, Monthly: 12}},
		{"bandwidth", c.Replication.Bandwidth, config.Size(20 << 20)},
		{"pre_snapshot.command", strings.Join(c.Replication.PreSnapshot.Command, "|"), "/usr/local/bin/freeze|--all"},
		{"pre_snapshot.on_failure", c.Replication.PreSnapshot.OnFailure, "stop"},
		{"post_snapshot.on_failure", c.Replication.PostSnapshot.OnFailure, "continue"},
		{"post_snapshot.timeout", c.Replication.PostSnapshot.Timeout, 90 * time.Second},
		{"timeouts.stall", c.Replication.Timeouts.Stall, 20 * time.Second},
		{"services.first", c.Services.First[0], "traefik"},
		{"probe.grace", c.Probe.Grace, time.Minute},
		{"lag.critical", c.Lag.Critical, 48 * time.Hour},
		{"notify.urls_file", c.Notify.URLsFile, "/etc/understudy/notify.urls"},
	} {
		if check.got != check.want {
			t.Errorf("%s is %v, want %v", check.key, check.got, check.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := load(t, small+"ssh:\nreplication: {datasets: [{name: tank}]}\n")
	r := c.Replication
	for _, check := range []struct {
		key       string
		got, want any
	}{
		{"state_dir", c.StateDir, "/var/lib/understudy"},
		{"ssh.user", c.SSH.User, "root"},
		{"ssh.port", c.SSH.Port, 22},
		{"ssh.connect_timeout", c.SSH.ConnectTimeout, 10 * time.Second},
		{"ssh.remote_command", c.SSH.RemoteCommand, "zfs-replicate"},
		{"recursive", r.Datasets[0].Recursive, true},
		{"prefix", r.Prefix, "replicate"},
		{"snapshot", r.Snapshot, "changed"},
		{"require_role", r.RequireRole, true},
		{"parallel", r.Parallel, 0},
		{"keep", r.Keep, config.Keep{Last: 10}},
		{"keep_on_standby", r.KeepOnStandby, config.Keep{Last: 10}},
		{"bandwidth", r.Bandwidth, config.Size(0)},
		{"compress", r.Compress, "off"},
		{"pre_snapshot", r.PreSnapshot.OnFailure, "stop"},
		{"post_snapshot", r.PostSnapshot.OnFailure, "continue"},
		{"timeouts.zfs", r.Timeouts.ZFS, 2 * time.Minute},
		{"timeouts.snapshot", r.Timeouts.Snapshot, 2 * time.Minute},
		{"timeouts.stall", r.Timeouts.Stall, 40 * time.Second},
	} {
		if check.got != check.want {
			t.Errorf("%s is %v, want %v", check.key, check.got, check.want)
		}
	}
}

func TestPrecedence(t *testing.T) {
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.String("snapshot", "changed", "")
	flags.Int("parallel", 9, "")
	if err := flags.Parse([]string{"--snapshot", "always"}); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.LoadOptions{
		File: write(t, small+"replication: {snapshot: never, prefix: fromfile, parallel: 2, keep: {last: 3}}\n"),
		Env: env(map[string]string{
			"UNDERSTUDY_REPLICATION_SNAPSHOT":         "changed",
			"UNDERSTUDY_REPLICATION_PARALLEL":         "4",
			"UNDERSTUDY_REPLICATION_TIMEOUTS_STALL":   "1m",
			"UNDERSTUDY_REPLICATION_BANDWIDTH":        "1MB",
			"UNDERSTUDY_REPLICATION_REQUIRE_ROLE":     "false",
			"UNDERSTUDY_REPLICATION_KEEP_DAILY":       "7",
			"UNDERSTUDY_NODE":                         "a",
			"UNDERSTUDY_REPLICATION_PRE_SNAPSHOT_FOO": "ignored: no such key",
		}),
		Flags: map[string]*pflag.Flag{
			"replication.snapshot": flags.Lookup("snapshot"),
			"replication.parallel": flags.Lookup("parallel"), // not given: its default means nothing
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := c.Replication
	for _, check := range []struct {
		from      string
		got, want any
	}{
		{"flag over environment and file", r.Snapshot, "always"},
		{"environment over file", r.Parallel, 4},
		{"file over default", r.Prefix, "fromfile"},
		{"environment over default", r.Timeouts.Stall, time.Minute},
		{"size from environment", r.Bandwidth, config.Size(1_000_000)},
		{"false from environment", r.RequireRole, false},
		{"default", r.Timeouts.ZFS, 2 * time.Minute},
		{"node from environment", c.Node, "a"},
		{"inherited from file and environment", r.KeepOnStandby, config.Keep{Last: 3, Daily: 7}},
	} {
		if check.got != check.want {
			t.Errorf("%s: %v, want %v", check.from, check.got, check.want)
		}
	}
}

func TestWhichFile(t *testing.T) {
	file := write(t, small)
	c, err := config.Load(config.LoadOptions{Env: env(map[string]string{"UNDERSTUDY_CONFIG": file})})
	if err != nil || c.File() != file {
		t.Errorf("from the environment: %v, error %v", c, err)
	}
	_, err = config.Load(config.LoadOptions{File: "/does/not/exist", Env: env(map[string]string{"UNDERSTUDY_CONFIG": file})})
	fault, ok := errors.AsType[*config.FileError](err)
	if !ok || fault.ExitCode() != 78 || !strings.Contains(fault.Hint(), "failover-notify setup") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestFileThatAllMayWrite(t *testing.T) {
	file := write(t, small)
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(config.LoadOptions{File: file})
	if fault, ok := errors.AsType[*config.FileError](err); !ok || fault.Hint() != "chmod o-w "+file {
		t.Errorf("error %v", err)
	}
}

func TestFlagForAnUnknownKey(t *testing.T) {
	flag := &pflag.Flag{Name: "x"}
	for _, key := range []string{"replication.nothing", "replication.datasets", "ssh"} {
		_, err := config.Load(config.LoadOptions{File: write(t, small), Flags: map[string]*pflag.Flag{key: flag}})
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v", key, err)
		}
	}
}

// What config show prints is a file that means the same.
func TestYAMLRoundTrip(t *testing.T) {
	c, err := config.Load(config.LoadOptions{File: "testdata/full.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	second, err := load(t, string(first)).YAML()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := withoutComments(string(first)), withoutComments(string(second)); a != b {
		t.Errorf("first:\n%s\nsecond:\n%s", a, b)
	}
	for _, want := range []string{
		"port: 2222 # testdata/full.yaml:9\n",
		"prefix: replicate # default\n",
		"daily: 90 # testdata/full.yaml:",
		"weekly: 4 # as replication.keep.weekly\n",
	} {
		if !strings.Contains(string(first), want) {
			t.Errorf("%q is missing in\n%s", want, first)
		}
	}
}

func withoutComments(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		before, _, _ := strings.Cut(line, " # ")
		lines = append(lines, strings.TrimSpace(before))
	}
	return strings.Join(lines, "\n")
}

// Whatever a file holds, Load answers with a value or a typed error.
func FuzzLoad(f *testing.F) {
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(full))
	f.Add(small)
	f.Add("nodes: &a [*a]\n")
	f.Add("? {a: b}\n: c\n")
	f.Add("nodes:\n- name: [x\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Load(config.LoadOptions{File: write(t, text)})
		if err == nil {
			if _, err := c.YAML(); err != nil {
				t.Error(err)
			}
			return
		}
		if coder, ok := errors.AsType[interface {
			error
			ExitCode() int
		}](err); !ok || coder.ExitCode() != 78 {
			t.Errorf("untyped error %v", err)
		}
	})
}
