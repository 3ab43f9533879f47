package compose

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"github.com/understudy-ha/understudy/pkg/run"
)

// scrubbed are the beginnings of variables that would turn projects into others
// or reach another engine, when the one who calls happens to have them.
var scrubbed = []string{"COMPOSE_", "DOCKER_HOST=", "DOCKER_CONTEXT=", "DOCKER_TLS", "DOCKER_CERT_PATH=", "DOCKER_API_VERSION="}

// environment is what the files of a folder are filled in with: this process's
// variables, and below them those of the folder's .env.
func environment(dir string) (map[string]string, error) {
	env := map[string]string{}
	for _, pair := range run.Environ(scrubbed...) {
		key, value, _ := strings.Cut(pair, "=")
		env[key] = value
	}
	env["PWD"] = dir // as if Compose were called in the folder
	file := filepath.Join(dir, ".env")
	if info, err := os.Stat(file); err != nil || info.IsDir() {
		if err == nil || os.IsNotExist(err) {
			return env, nil
		}
		return nil, err
	}
	more, err := dotenv.GetEnvFromFile(env, []string{file})
	if err != nil {
		return nil, err
	}
	for key, value := range more {
		if _, set := env[key]; !set {
			env[key] = value
		}
	}
	return env, nil
}
