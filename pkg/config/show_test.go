package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMasked(t *testing.T) {
	for text, want := range map[string]string{
		"plain text":                        "plain text",
		"http://127.0.0.1:8080/ping":        "http://127.0.0.1:8080/ping",
		"http://me:s3cret@host/a?b=c#d":     "http://me:xxxxx@host/a?b=c#d",
		"https://T0KEN@host:8443":           "https://xxxxx@host:8443",
		"http://me:p@ss@host/":              "http://me:xxxxx@host/",
		"http://me:%zz@host/":               "http://me:xxxxx@host/",
		"http://h/?access_token=s3cret&x=1": "http://h/?access_token=xxxxx&x=1",
		"http://h/?key=s3cret":              "http://h/?key=xxxxx",
		"http://h/a?%70assword=s3cret":      "http://h/a?%70assword=xxxxx",
		"tcp://192.168.86.1:53":             "tcp://192.168.86.1:53",
		"--password=s3cret":                 "--password=xxxxx",
		"API_KEY=s3cret":                    "API_KEY=xxxxx",
		"Ciphers=aes128-gcm@openssh.com":    "Ciphers=aes128-gcm@openssh.com",
		"apps/*/docker-compose.yml":         "apps/*/docker-compose.yml",
	} {
		if got := masked(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

const secretive = `nodes: [{name: a, address: 10.0.0.1}]
probe: {container: t, ping: "http://me:s3cret@127.0.0.1/ping"}
witness: {targets: ["http://10.0.0.9/?token=s3cret"]}
hooks: {on_active: {command: [/bin/tell, --token=s3cret]}}
`

// loaded is a configuration from a file with that text.
func loaded(t *testing.T, text string, env map[string]string) *Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(LoadOptions{File: file, Env: func(name string) string { return env[name] }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNothingSecretIsShown(t *testing.T) {
	c := loaded(t, secretive, nil)
	text, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	data, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{string(text), string(data)} {
		if strings.Contains(shown, "s3cret") || strings.Count(shown, masking) != 3 {
			t.Errorf("%s", shown)
		}
	}
	if c.Probe.Ping != "http://me:s3cret@127.0.0.1/ping" {
		t.Errorf("the value itself is masked: %s", c.Probe.Ping)
	}
}

func TestValuesSayWhereTheyComeFrom(t *testing.T) {
	c := loaded(t, secretive+"replication:\n  keep:\n    last: 5\nssh:\n  port:\n    2222\n", map[string]string{"UNDERSTUDY_SSH_USER": "me"})
	find := func(key string) Value {
		i := slices.IndexFunc(c.Values(), func(v Value) bool { return v.Key == key })
		if i < 0 {
			t.Fatalf("no value %s", key)
		}
		return c.Values()[i]
	}
	for _, want := range []Value{
		{"nodes[0].address", "10.0.0.1", "file", c.file + ":1"},
		{"replication.keep.last", 5, "file", c.file + ":7"},
		{"replication.keep_on_standby.last", 5, "inherited", "replication.keep.last"},
		{"ssh.user", "me", "environment", "UNDERSTUDY_SSH_USER"},
		{"ssh.port", 2222, "file", c.file + ":10"},
		{"ssh.connect_timeout", "10s", "default", ""},
		{"hooks.on_active.command[0]", "/bin/tell", "file", c.file + ":4"},
		{"replication.require_role", true, "default", ""},
	} {
		if got := find(want.Key); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if list := find("replication.datasets"); list.Origin != "default" {
		t.Errorf("%+v", list)
	}
}

func TestVariablesThatAreNearlyOnesOfKeys(t *testing.T) {
	got := Misspelt([]string{"PATH=/bin", "UNDERSTUDY_SSH_PORT=22", "UNDERSTUDY_SSH_PROT=22", "UNDERSTUDY_ROLE=active", "UNDERSTUDY_CONFIG=x",
		"UNDERSTUDY_LOG_LEVEL=info", "UNDERSTUDY_REPLICATION_PARALELL=s3cret", "UNDERSTUDY_SOMETHING_ELSE_ALTOGETHER=1", "UNDERSTUDY_NO_SKIP=1", "UNDERSTUDY_TAKEOVER=1", "SSH_PROT=1"})
	want := []string{
		`environment variable UNDERSTUDY_SSH_PROT: no key has it; did you mean UNDERSTUDY_SSH_PORT?`,
		`environment variable UNDERSTUDY_REPLICATION_PARALELL: no key has it; did you mean UNDERSTUDY_REPLICATION_PARALLEL?`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
