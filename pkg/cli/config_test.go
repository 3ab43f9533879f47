package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/cli"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigCheck(t *testing.T) {
	file := writeConfig(t, "nodes: [{name: a, address: 127.0.0.1}, {name: b, local: true}]\n"+
		"replication: {datasets: [{name: tank, target: copy}, {name: x, recursive: false, target: y}]}\n")
	want := result{0, file + ": good\nnodes: a (127.0.0.1), b (local)\nthis machine: a\ndatasets: tank and below, x\n", ""}
	if got := run(t, &cli.Process{}, fails(nil), "config", "check", "--config", file); got != want {
		t.Errorf("have %+v\nwant %+v", got, want)
	}
	inEnvironment := func(name string) string {
		return map[string]string{"UNDERSTUDY_CONFIG": file}[name]
	}
	if got := run(t, &cli.Process{Getenv: inEnvironment}, fails(nil), "config", "check"); got != want {
		t.Errorf("from the environment: have %+v", got)
	}
}

func TestConfigCheckNamesErrors(t *testing.T) {
	file := writeConfig(t, "nodes: [{name: a, address: 127.0.0.1}]\nssh: {prot: 1}\n")
	want := result{78, "", "tool: error: config: " + file + ":2:7: ssh.prot: unknown key; did you mean \"port\"?\n" +
		"hint: correct what is named above; the command `config check` looks again and does nothing else\n"}
	if got := run(t, &cli.Process{}, fails(nil), "config", "check", "--config", file); got != want {
		t.Errorf("have %+v\nwant %+v", got, want)
	}
}

func TestConfigShow(t *testing.T) {
	file := writeConfig(t, "nodes: [{name: a, address: 127.0.0.1}]\n")
	got := run(t, &cli.Process{}, fails(nil), "config", "show", "--config", file)
	if got.code != 0 || !strings.Contains(got.stdout, "address: 127.0.0.1 # "+file+":1\n") || !strings.Contains(got.stdout, "port: 22 # default\n") {
		t.Errorf("%+v", got)
	}
}

func TestConfigShowAsJSON(t *testing.T) {
	file := writeConfig(t, "nodes: [{name: a, address: 127.0.0.1}]\n")
	got := run(t, &cli.Process{}, fails(nil), "config", "show", "-o", "json", "--config", file)
	var shown struct {
		File   string
		Values []struct{ Key, Origin, Where string }
	}
	if err := json.Unmarshal([]byte(got.stdout), &shown); err != nil || got.code != 0 || shown.File != file || len(shown.Values) < 50 {
		t.Fatalf("%v in %+v", err, got)
	}
	if first := shown.Values[0]; first.Key != "nodes[0].name" || first.Origin != "file" || first.Where != file+":1" {
		t.Errorf("%+v", first)
	}
	if got := run(t, &cli.Process{}, fails(nil), "config", "show", "-o", "xml", "--config", file); got.code != 64 {
		t.Errorf("%+v", got)
	}
}

func TestCompletion(t *testing.T) {
	got := run(t, &cli.Process{}, fails(nil), "completion", "bash")
	if got.code != 0 || !strings.Contains(got.stdout, "__start_tool") {
		t.Errorf("code %d, stderr %q", got.code, got.stderr)
	}
	got = run(t, &cli.Process{}, fails(nil), "__complete", "wo")
	if got.code != 0 || !strings.Contains(got.stdout, "work\tWork on it") {
		t.Errorf("%+v", got)
	}
}
