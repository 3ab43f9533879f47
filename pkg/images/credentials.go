package images

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/understudy-ha/understudy/pkg/run"
)

// helperTime is how long a credential helper may take. One that wants to ask a
// person would take for ever.
const helperTime = 10 * time.Second

// hub is the key of Docker Hub in docker's configuration.
const hub = "https://index.docker.io/v1/"

// Credentials are those of docker's own configuration and its helpers.
type Credentials struct {
	// Dir holds docker's config.json.
	Dir    string
	Runner run.Programs
}

// DockerDir is where docker keeps its configuration for this user. Neither cron
// nor systemd need to have set HOME.
func DockerDir(getenv func(string) string) string {
	if dir := getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home := getenv("HOME")
	if home == "" {
		if me, err := user.Current(); err == nil {
			home = me.HomeDir
		}
	}
	return filepath.Join(home, ".docker")
}

// dockerConfig is what matters of docker's config.json.
type dockerConfig struct {
	Auths map[string]struct {
		Auth          string `json:"auth"`
		Username      string `json:"username"`
		Password      string `json:"password"`
		IdentityToken string `json:"identitytoken"`
		RegistryToken string `json:"registrytoken"`
	} `json:"auths"`
	Store   string            `json:"credsStore"`
	Helpers map[string]string `json:"credHelpers"`
}

// For returns who this node is to a registry; the zero value is nobody.
func (c Credentials) For(ctx context.Context, host string) (authn.AuthConfig, error) {
	path := filepath.Join(c.Dir, "config.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return authn.AuthConfig{}, nil
	}
	if err != nil {
		return authn.AuthConfig{}, fmt.Errorf("read docker's credentials: %w", err)
	}
	var config dockerConfig
	if err := json.Unmarshal(data, &config); err != nil {
		// What it says may hold a password.
		return authn.AuthConfig{}, fmt.Errorf("read docker's credentials: %s is not valid JSON", path)
	}
	for key, helper := range config.Helpers {
		if sameHost(key, host) && helper != "" {
			return c.ask(ctx, helper, key)
		}
	}
	if config.Store != "" {
		key := host
		if host == "docker.io" {
			key = hub
		}
		if found, err := c.ask(ctx, config.Store, key); err != nil || found != (authn.AuthConfig{}) {
			return found, err
		}
	}
	for key, entry := range config.Auths {
		if !sameHost(key, host) {
			continue
		}
		found := authn.AuthConfig{Username: entry.Username, Password: entry.Password, IdentityToken: entry.IdentityToken, RegistryToken: entry.RegistryToken}
		if entry.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(entry.Auth)
			if err != nil {
				return authn.AuthConfig{}, fmt.Errorf("read docker's credentials: the auth of %s in %s is not base64", key, path)
			}
			found.Username, found.Password, _ = strings.Cut(strings.TrimRight(string(plain), "\x00"), ":")
		}
		return found, nil
	}
	return authn.AuthConfig{}, nil
}

// sameHost reports whether a key of docker's configuration is a registry's.
func sameHost(key, host string) bool {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	key, _, _ = strings.Cut(key, "/")
	if key == "index.docker.io" || key == "registry-1.docker.io" {
		key = "docker.io"
	}
	return key == host
}

// ask asks a credential helper. One that knows nothing of the registry is fine.
func (c Credentials) ask(ctx context.Context, helper, server string) (authn.AuthConfig, error) {
	program := "docker-credential-" + helper
	var out bytes.Buffer
	err := c.Runner.Run(ctx, run.Command{Argv: []string{program, "get"}, Timeout: helperTime, Stdin: strings.NewReader(server), Stdout: &out})
	if err != nil {
		if strings.Contains(out.String(), "credentials not found") {
			return authn.AuthConfig{}, nil
		}
		return authn.AuthConfig{}, fmt.Errorf("ask for the credentials of %s: %w", server, err)
	}
	var said struct{ Username, Secret string }
	if json.Unmarshal(out.Bytes(), &said) != nil {
		return authn.AuthConfig{}, fmt.Errorf("ask for the credentials of %s: what %s printed is not valid JSON", server, program)
	}
	if said.Username == "<token>" {
		return authn.AuthConfig{IdentityToken: said.Secret}, nil
	}
	return authn.AuthConfig{Username: said.Username, Password: said.Secret}, nil
}

// header is X-Registry-Auth for the engine.
func header(a authn.AuthConfig, host string) (string, error) {
	if a == (authn.AuthConfig{}) {
		return "", nil
	}
	if host == "docker.io" {
		host = hub
	}
	data, err := json.Marshal(map[string]string{
		"username": a.Username, "password": a.Password, "identitytoken": a.IdentityToken,
		"registrytoken": a.RegistryToken, "serveraddress": host,
	})
	if err != nil {
		return "", fmt.Errorf("encode the credentials of %s: %w", host, err)
	}
	return base64.URLEncoding.EncodeToString(data), nil
}
