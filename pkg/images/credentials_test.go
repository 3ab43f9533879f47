package images

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/run"
)

func TestCredentials(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	put(t, filepath.Join(bin, "docker-credential-good"), `#!/bin/sh
case "$1 $(cat)" in
"get ghcr.io") echo '{"Username": "cat", "Secret": "top"}' ;;
"get token.io") echo '{"Username": "<token>", "Secret": "tok"}' ;;
"get bad.io") echo top secret; exit 2 ;;
*) echo credentials not found in native keychain; exit 1 ;;
esac
`)
	basic := base64.StdEncoding.EncodeToString([]byte("me:pass:word"))
	put(t, filepath.Join(dir, "config.json"), `{
  "auths": {
    "https://index.docker.io/v1/": {"auth": "`+basic+`"},
    "http://plain.io/v2/": {"username": "u", "password": "p"},
    "token.io": {"username": "wrong"}, "127.0.0.1:5000": {"identitytoken": "id"}},
  "credHelpers": {"ghcr.io": "good", "token.io": "good", "bad.io": "good", "none.io": "missing"},
  "credsStore": "good"}`)
	c := Credentials{Dir: dir, Runner: run.New(zerolog.Nop())}
	for host, want := range map[string]authn.AuthConfig{
		"ghcr.io":        {Username: "cat", Password: "top"},
		"token.io":       {IdentityToken: "tok"},
		"docker.io":      {Username: "me", Password: "pass:word"},
		"plain.io":       {Username: "u", Password: "p"},
		"127.0.0.1:5000": {IdentityToken: "id"},
		"other.io":       {},
	} {
		if got, err := c.For(t.Context(), host); err != nil || got != want {
			t.Errorf("%s: %+v, %v", host, got, err)
		}
	}
	if _, err := c.For(t.Context(), "bad.io"); err == nil || strings.Contains(err.Error(), "top secret") {
		t.Errorf("a helper that fails: %v", err)
	}
	if _, err := c.For(t.Context(), "none.io"); err == nil || !strings.Contains(err.Error(), "docker-credential-missing") {
		t.Errorf("a helper that is not there: %v", err)
	}
	put(t, filepath.Join(dir, "config.json"), `{"auths": "top secret"`)
	if _, err := c.For(t.Context(), "ghcr.io"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a broken file: %v", err)
	}
	if got, err := (Credentials{Dir: t.TempDir()}).For(t.Context(), "ghcr.io"); err != nil || got != (authn.AuthConfig{}) {
		t.Errorf("no file: %+v, %v", got, err)
	}
}

func TestDockerDir(t *testing.T) {
	env := map[string]string{"HOME": "/home/me", "DOCKER_CONFIG": "/etc/docker-config"}
	if dir := DockerDir(func(name string) string { return env[name] }); dir != "/etc/docker-config" {
		t.Error(dir)
	}
	env["DOCKER_CONFIG"] = ""
	if dir := DockerDir(func(name string) string { return env[name] }); dir != "/home/me/.docker" {
		t.Error(dir)
	}
	if dir := DockerDir(func(string) string { return "" }); !filepath.IsAbs(dir) || filepath.Dir(dir) == "/" {
		t.Errorf("without HOME: %s", dir)
	}
}
