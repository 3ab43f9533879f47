package compose

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The plugin is started as docker would start it, unless docker might take another.
func TestUpStartsThePlugin(t *testing.T) {
	for name, c := range map[string]struct {
		settings string // of docker; "" for none
		other    bool   // the docker of the search path is not the system's
		want     string
	}{
		"the system's":        {"", false, "system/docker-compose"},
		"settings say no":     {`{"auths": {}}`, false, "system/docker-compose"},
		"settings say where":  {`{"cliPluginsExtraDirs": ["EXTRA"]}`, false, "extra/docker-compose"},
		"settings are broken": {`{`, false, "docker"},
		"a wrapper":           {"", true, "docker"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			calls := standIn(t, "")
			docker, err := exec.LookPath("docker")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			for _, folder := range []string{"system", "extra"} {
				if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(docker, filepath.Join(dir, folder, "docker-compose")); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("DOCKER_CONFIG", dir)
			if c.settings != "" {
				text := strings.ReplaceAll(c.settings, "EXTRA", filepath.Join(dir, "extra"))
				if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m.plugins = []string{filepath.Join(dir, "none"), filepath.Join(dir, "system")}
			if !c.other {
				m.docker = docker
			}
			program, _ := m.program()
			if got := strings.TrimPrefix(program, dir+"/"); got != c.want {
				t.Errorf("starts %s, want %s", got, c.want)
			}
			if err := m.Up(t.Context(), app); err != nil {
				t.Fatal(err)
			}
			got := calls()
			if len(got) != 1 || got[0].Program != filepath.Base(c.want) || !strings.HasPrefix(strings.Join(got[0].Args, " "), "--host unix://"+m.engine.Socket()+" compose ") {
				t.Fatalf("called %+v", got)
			}
			if told := slices.Contains(got[0].Env, pluginOf+"="+docker); told != (c.want != "docker") {
				t.Errorf("told that it is a plugin: %t", told)
			}
		})
	}
}

// What docker would refuse is left to it: it says why.
func TestUpLeavesABrokenPluginToDocker(t *testing.T) {
	m, _ := newManager(t, nil)
	calls := standIn(t, "")
	docker, err := exec.LookPath("docker")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	if err := os.WriteFile(filepath.Join(dir, "docker-compose"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.docker, m.plugins = docker, []string{dir}
	if err := m.Up(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if got := calls(); len(got) != 1 || got[0].Program != "docker" {
		t.Errorf("called %+v", got)
	}
}
