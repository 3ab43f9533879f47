package compose

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
)

// write makes files below dir, by their names.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// find loads the projects of files, which lie in a new folder.
func find(t *testing.T, files map[string]string, patterns ...string) (dir string, projects []Project, err error) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, files)
	projects, err = Find(t.Context(), config.Services{Directory: dir, Projects: patterns})
	return dir, projects, err
}

// one loads the only project of files, in the folder app.
func one(t *testing.T, files map[string]string) (dir string, p Project) {
	t.Helper()
	dir, projects, err := find(t, files, "app/compose.yaml")
	if err != nil || len(projects) != 1 {
		t.Fatalf("found %d projects, %v", len(projects), err)
	}
	return filepath.Join(dir, "app"), projects[0]
}

func serviceNames(p Project) []string {
	var names []string
	for _, s := range p.Services {
		names = append(names, s.Name)
	}
	return names
}

const web = "services: {web: {image: 'web:1'}}\n"

func TestFind(t *testing.T) {
	dir, projects, err := find(t, map[string]string{
		"apps/b/docker-compose.yml":          web,
		"apps/a/docker-compose.yml":          web,
		"apps/a/docker-compose.override.yml": "services: {more: {image: 'more:1'}}\n",
		"apps/broken/docker-compose.yml":     "services: {web: {image: [}}\n",
		"apps/folder/docker-compose.yml/x":   "",
		"infra/compose.yaml":                 "name: proxy\n" + web,
	}, "apps/*/*.yml", "infra/compose.yaml", "apps/b/docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range projects {
		names = append(names, p.Name)
		if broken := p.Name == "broken"; (p.Err != nil) != broken {
			t.Errorf("%s: %v", p.Name, p.Err)
		}
	}
	if want := []string{"a", "b", "broken", "proxy"}; !slices.Equal(names, want) {
		t.Fatalf("found %q, want %q", names, want)
	}
	a := filepath.Join(dir, "apps/a")
	if want := []string{a + "/docker-compose.yml", a + "/docker-compose.override.yml"}; !slices.Equal(projects[0].Files, want) || projects[0].Directory != a {
		t.Errorf("files of a are %q in %s, want %q", projects[0].Files, projects[0].Directory, want)
	}
	if got := serviceNames(projects[0]); !slices.Equal(got, []string{"more", "web"}) {
		t.Errorf("services of a are %q", got)
	}
	loadErr, ok := errors.AsType[*LoadError](projects[2].Err)
	if !ok || !strings.Contains(loadErr.Error(), "broken/docker-compose.yml") || strings.Contains(loadErr.Error(), "\n") || loadErr.Hint() == "" || loadErr.ExitCode() != 78 {
		t.Errorf("broken: %v", projects[2].Err)
	}
}

func TestPatternWithoutMatch(t *testing.T) {
	_, projects, err := find(t, map[string]string{"a/compose.yaml": web}, "nothing/*.yml", "a/compose.yaml")
	missed, ok := errors.AsType[*PatternError](err)
	if !ok || !strings.Contains(err.Error(), "nothing/*.yml matches no file") || missed.Hint() == "" || len(projects) != 1 {
		t.Errorf("got %d projects, %v", len(projects), err)
	}
	_, err = Find(t.Context(), config.Services{Directory: filepath.Join(t.TempDir(), "gone"), Projects: []string{"*"}})
	missed, ok = errors.AsType[*PatternError](err)
	if !ok || !errors.Is(err, os.ErrNotExist) || !strings.Contains(missed.Hint(), "mounted") {
		t.Errorf("a folder that is not there: %v", err)
	}
	if projects, err := Find(t.Context(), config.Services{}); len(projects) != 0 || err != nil {
		t.Errorf("without a configuration: %v, %v", projects, err)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ what, name, env, file string }{
		{"the folder", "app", "", web},
		{"name:", "x-1", "", "name: x-1\n" + web},
		{".env before name:", "fromenv", "COMPOSE_PROJECT_NAME=fromenv\n", "name: x-1\n" + web},
		{"a variable in name:", "x-7", "N=7\n", "name: x-${N}\n" + web},
	} {
		t.Setenv("COMPOSE_PROJECT_NAME", "ofthecaller")
		files := map[string]string{"app/compose.yaml": c.file}
		if c.env != "" {
			files["app/.env"] = c.env
		}
		if _, p := one(t, files); p.Name != c.name || p.Err != nil {
			t.Errorf("%s: name is %q (%v), want %q", c.what, p.Name, p.Err, c.name)
		}
	}
	_, projects, err := find(t, map[string]string{"My App.d/compose.yaml": web}, "*/compose.yaml")
	if err != nil || projects[0].Name != "myappd" {
		t.Errorf("a folder's odd name gives %+v", projects)
	}
}

func TestTwins(t *testing.T) {
	_, projects, err := find(t, map[string]string{"a/compose.yaml": "name: same\n" + web, "b/compose.yaml": "name: same\n" + web, "c/compose.yaml": web,
		"x/d/compose.yaml": web, "y/d/compose.yaml": "services: {web: {image: [}}\n", // its name is a guess
	}, "*/compose.yaml", "*/d/compose.yaml")
	if err != nil || len(projects) != 5 {
		t.Fatal(projects, err)
	}
	for _, p := range projects {
		if strings.HasSuffix(p.Files[0], "y/d/compose.yaml") {
			continue
		}
		if twin := p.Name == "same"; (p.Err != nil) != twin || twin && !strings.Contains(p.Err.Error(), "is a project named same too") {
			t.Errorf("%s: %v", p.Files, p.Err)
		}
	}
}

func TestCallersVariables(t *testing.T) {
	t.Setenv("COMPOSE_PROFILES", "debug")
	t.Setenv("COMPOSE_FILE", "/nonexistent.yaml")
	t.Setenv("COMPOSE_DISABLE_ENV_FILE", "1")
	t.Setenv("TAG", "caller")
	t.Setenv("PWD", "/elsewhere")
	dir, p := one(t, map[string]string{
		"app/.env": "TAG=file\nVERSION=9\n",
		"app/compose.yaml": `services:
  web: {image: "web:${TAG}-${VERSION}${SUFFIX:-}", volumes: ["${PWD}/data:/data"], environment: {X: "$${NOT}", Y: "${UNSET}"}}
  tool: {image: tool, profiles: [debug]}
`})
	if p.Err != nil || len(p.Services) != 1 {
		t.Fatalf("%+v", p)
	}
	if p.Services[0].Image != "web:caller-9" || !slices.Equal(p.Binds, []string{dir + "/data"}) {
		t.Errorf("image %s, binds %q", p.Services[0].Image, p.Binds)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "variable UNSET is not set") {
		t.Errorf("warnings are %q", p.Warnings)
	}
}

func TestDotEnvOfCompose(t *testing.T) {
	_, p := one(t, map[string]string{
		"app/.env":         "COMPOSE_PROFILES=debug\n",
		"app/compose.yaml": "services: {web: {image: web}, tool: {image: tool, profiles: [debug]}, other: {image: x, profiles: [other]}}\n",
	})
	if got := serviceNames(p); !slices.Equal(got, []string{"tool", "web"}) {
		t.Errorf("services are %q (%v)", got, p.Err)
	}
	dir, p := one(t, map[string]string{
		"app/.env": "COMPOSE_FILE=base.yaml:prod.yaml\n", "app/base.yaml": web, "app/prod.yaml": "services: {web: {image: 'web:prod'}}\n",
		"app/compose.yaml": "services: {not: {image: not}}\n", "app/compose.override.yaml": "services: {neither: {image: n}}\n",
	})
	if want := []string{dir + "/base.yaml", dir + "/prod.yaml"}; p.Err != nil || !slices.Equal(p.Files, want) || p.Services[0].Image != "web:prod" {
		t.Errorf("got %+v, want files %q", p, want)
	}
	_, p = one(t, map[string]string{"app/.env": "COMPOSE_FILE=../other.yaml\n", "other.yaml": web, "app/compose.yaml": web})
	if p.Err == nil || !strings.Contains(p.Err.Error(), "of another folder") {
		t.Errorf("a first file elsewhere: %v", p.Err)
	}
	_, p = one(t, map[string]string{"app/.env": "GOOD=1\nPASS WORD=hunter2\nQ=\"hunter2\n", "app/compose.yaml": web})
	if p.Err == nil || strings.Contains(p.Err.Error(), "hunter2") || !strings.Contains(p.Err.Error(), ".env") {
		t.Errorf("a .env with a mistake: %v", p.Err)
	}
	_, p = one(t, map[string]string{"app/.env": "Q=\"hunter2\n", "app/compose.yaml": web})
	if p.Err == nil || strings.Contains(p.Err.Error(), "hunter2") {
		t.Errorf("a .env with an open quote: %v", p.Err)
	}
}

func TestWhichFile(t *testing.T) {
	dir, projects, err := find(t, map[string]string{
		"a/compose.yaml": web, "a/docker-compose.yml": web, "a/docker-compose.override.yml": web,
		"b/prod.yaml": web, "b/compose.override.yml": web,
	}, "a/docker-compose.yml", "b/prod.yaml")
	if err != nil || len(projects) != 2 {
		t.Fatal(projects, err)
	}
	if p := projects[0]; !slices.Equal(p.Files, []string{dir + "/a/docker-compose.yml"}) || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "Compose takes compose.yaml") {
		t.Errorf("got %+v", p)
	}
	if p := projects[1]; !slices.Equal(p.Files, []string{dir + "/b/prod.yaml"}) || len(p.Warnings) != 0 {
		t.Errorf("got %+v", p)
	}
}

func TestIncludeAndExtends(t *testing.T) {
	dir, p := one(t, map[string]string{
		"app/compose.yaml": "include: [../shared/db.yaml]\nservices: {web: {extends: {file: ../shared/base.yaml, service: base}, image: web}}\n",
		"shared/db.yaml":   "services: {db: {image: 'db:${V}', volumes: ['./data:/data']}}\n", "shared/.env": "V=5\n",
		"shared/base.yaml": "services: {base: {image: base, restart: always, volumes: ['./conf:/conf']}}\n",
	})
	shared := filepath.Join(filepath.Dir(dir), "shared")
	if p.Err != nil || !slices.Equal(p.Binds, []string{shared + "/conf", shared + "/data"}) {
		t.Fatalf("got %+v", p)
	}
	want := []Service{{Name: "db", Image: "db:5", Container: "app-db-1", Restart: "no"}, {Name: "web", Image: "web", Container: "app-web-1", Restart: "always"}}
	if !slices.Equal(p.Services, want) {
		t.Errorf("services are %+v", p.Services)
	}
	_, p = one(t, map[string]string{"app/compose.yaml": "include: [../gone.yaml]\n"})
	if hint := hintOf(p.Err); !strings.Contains(hint, "to this node") {
		t.Errorf("a file that is missing: %v, hint %q", p.Err, hint)
	}
}

// What Compose would fetch from the network is refused by its address, with the way out.
func TestRemoteFiles(t *testing.T) {
	for _, address := range []string{"oci://registry.example.com/team/base:1", "https://github.com/docker/compose.git#main:x", "git@github.com:team/base.git"} {
		for _, text := range []string{
			"include: ['" + address + "']\nservices: {web: {image: web}}\n",
			"include: [{path: '" + address + "'}]\nservices: {web: {image: web}}\n",
			"services: {web: {extends: {file: '" + address + "', service: base}}}\n",
		} {
			_, p := one(t, map[string]string{"app/compose.yaml": text})
			if p.Err == nil || !strings.Contains(p.Err.Error(), "a file from the network, "+address+",") || !strings.Contains(hintOf(p.Err), "put a copy") {
				t.Errorf("%s: %v, hint %q", text, p.Err, hintOf(p.Err))
			}
		}
	}
}

func hintOf(err error) string {
	var hinted exit.Hinter
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

func TestEnvFile(t *testing.T) {
	const file = "services: {web: {image: web, env_file: [{path: secret.env, required: REQUIRED}]}}\n"
	for required, fails := range map[string]bool{"true": true, "false": false} {
		_, p := one(t, map[string]string{"app/compose.yaml": strings.Replace(file, "REQUIRED", required, 1)})
		if (p.Err != nil) != fails || fails && (!strings.Contains(p.Err.Error(), "secret.env") || !strings.Contains(hintOf(p.Err), "required: false")) {
			t.Errorf("required %s: %v, hint %q", required, p.Err, hintOf(p.Err))
		}
	}
	_, p := one(t, map[string]string{"app/compose.yaml": strings.Replace(file, "REQUIRED", "true", 1), "app/secret.env": "A=\"hunter2\n"})
	if p.Err == nil || strings.Contains(p.Err.Error(), "hunter2") {
		t.Errorf("an env file with a mistake: %v", p.Err)
	}
}

func TestOrder(t *testing.T) {
	before, rest, unknown := Order([]Project{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}, []string{"c", "x", "a", "c"})
	names := func(list []Project) (names []string) {
		for _, p := range list {
			names = append(names, p.Name)
		}
		return names
	}
	if !slices.Equal(names(before), []string{"c", "a"}) || !slices.Equal(names(rest), []string{"b", "d"}) || !slices.Equal(unknown, []string{"x"}) {
		t.Errorf("got %q, %q, %q", names(before), names(rest), unknown)
	}
}

func BenchmarkFind(b *testing.B) {
	dir := b.TempDir()
	for i := range 20 {
		app := filepath.Join(dir, "apps", string(rune('a'+i)))
		if err := os.MkdirAll(app, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(app, "compose.yaml"), []byte(web), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if p, err := Find(b.Context(), config.Services{Directory: dir, Projects: []string{"apps/*/compose.yaml"}}); err != nil || len(p) != 20 {
			b.Fatal(err)
		}
	}
}
