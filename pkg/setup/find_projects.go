package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
)

// composeFiles are the names that Compose looks for.
var composeFiles = []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"}

// deepest is how many folders down projects are looked for.
const deepest = 3

// patterns are those of the projects that lie below a folder: one for all that
// lie side by side.
func patterns(directory string) ([]string, error) {
	var list []string
	err := filepath.WalkDir(directory, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrPermission) {
				return nil
			}
			return err
		}
		within, err := filepath.Rel(directory, path)
		if err != nil {
			return err
		}
		depth := strings.Count(within, "/")
		switch {
		case d.IsDir() && (depth >= deepest || within != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case !d.IsDir() && slices.Contains(composeFiles, d.Name()):
			pattern := d.Name()
			if above := filepath.Dir(within); above != "." {
				pattern = filepath.Join(filepath.Dir(above), "*", d.Name())
			}
			if !slices.Contains(list, pattern) {
				list = append(list, pattern)
			}
		}
		return nil
	})
	if err != nil {
		return nil, &AnswerError{"--services-directory", fmt.Sprintf("look for Compose projects in %s: %v", directory, err), "name a folder that is there and can be read"}
	}
	slices.Sort(list)
	return list, nil
}

// proxy is what is found of Traefik among the projects.
type proxy struct {
	project, container, ping string
}

// services checks that the patterns match projects which can be read, and looks
// for Traefik among them.
func services(ctx context.Context, a Answers) (proxy, error) {
	var p proxy
	projects, err := compose.Find(ctx, config.Services{Directory: a.Directory, Projects: a.Projects})
	if err != nil {
		return p, err
	}
	for _, one := range projects {
		if one.Err != nil {
			return p, one.Err
		}
		for _, service := range one.Services {
			name, _, _ := strings.Cut(filepath.Base(service.Image), ":")
			if name == "traefik" && p.container == "" {
				p = proxy{one.Name, service.Container, pingURL(one.Files)}
			}
		}
	}
	return p, nil
}

var (
	pingEntry    = regexp.MustCompile(`(?i)ping\.entrypoint=([A-Za-z0-9_-]+)`)
	entryAddress = regexp.MustCompile(`(?i)entrypoints\.([A-Za-z0-9_-]+)\.address=[^\s"',\]]*:(\d+)`)
	publishedTo  = regexp.MustCompile(`(?:([0-9.]+):)?(\d+):(\d+)(?:/tcp)?`)
)

// pingURL is where Traefik answers a ping, as far as its project's files tell:
// the entry point "traefik" at port 8080, unless they say otherwise.
func pingURL(files []string) string {
	var text string
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			text += string(data) + "\n"
		}
	}
	entry, port := "traefik", "8080"
	if m := pingEntry.FindStringSubmatch(text); m != nil {
		entry = m[1]
	}
	for _, m := range entryAddress.FindAllStringSubmatch(text, -1) {
		if strings.EqualFold(m[1], entry) {
			port = m[2]
		}
	}
	host, published := "127.0.0.1", port
	for _, m := range publishedTo.FindAllStringSubmatch(text, -1) {
		if m[3] == port {
			published = m[2]
			if m[1] != "" && m[1] != "0.0.0.0" {
				host = m[1]
			}
		}
	}
	return "http://" + host + ":" + published + "/ping"
}
