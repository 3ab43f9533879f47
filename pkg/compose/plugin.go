package compose

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	// systemDocker is the docker program as Debian and Docker pack it. What is
	// called docker elsewhere may do more than to hand on to its plugin.
	systemDocker = "/usr/bin/docker"
	// pluginOf tells Compose that it was started as a plugin, and of which program.
	pluginOf = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"
)

// systemPlugins are the folders in which docker looks for its plugins, after
// those of the user's own.
func systemPlugins() []string {
	return []string{"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins"}
}

// program returns the program that takes docker's words for compose, and what its
// environment needs. docker starts its plugin twice, first to ask what it is, and
// ends up by giving it just these: that is 40 ms of processor time for each project.
// Where it is not plain which plugin docker would take, it is asked.
func (m *Manager) program() (name string, env []string) {
	// It lives for a second or two, and collects garbage many times in them.
	env = []string{"GOGC=400"}
	if docker, err := exec.LookPath("docker"); err != nil || docker != m.docker {
		return "docker", env
	}
	folders, known := userPlugins()
	if !known {
		return "docker", env
	}
	for _, folder := range append(folders, m.plugins...) {
		plugin := filepath.Join(folder, "docker-compose")
		info, err := os.Stat(plugin)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			break // docker says what is wrong with it
		}
		return plugin, append(env, pluginOf+"="+m.docker)
	}
	return "docker", env
}

// userPlugins returns the folders that docker's settings name, and their own.
func userPlugins() (folders []string, known bool) {
	settings := os.Getenv("DOCKER_CONFIG")
	if settings == "" {
		home := os.Getenv("HOME")
		if home == "" {
			return nil, false
		}
		settings = filepath.Join(home, ".docker")
	}
	var file struct {
		Folders []string `json:"cliPluginsExtraDirs"`
	}
	text, err := os.ReadFile(filepath.Join(settings, "config.json"))
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	return append(file.Folders, filepath.Join(settings, "cli-plugins")), true
}
