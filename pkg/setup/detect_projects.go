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

// composeFiles holds the names of Compose files.
var composeFiles = []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"}

// deepest is the depth to which projects are searched.
const deepest = 3

// findPatterns returns patterns for the projects below a folder: one for all projects
// in sibling folders.
func findPatterns(directory string) ([]string, error) {
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
		return nil, &AnswerError{"--services-directory", fmt.Sprintf("find Compose projects in %s: %v", directory, err), "name an existing, readable folder"}
	}
	slices.Sort(list)
	return list, nil
}

// traefik is the detected Traefik of the projects.
type traefik struct {
	project, container, ping string
}

// findTraefik checks that the patterns match valid projects, and detects Traefik
// among them.
func findTraefik(ctx context.Context, a Answers) (traefik, error) {
	var p traefik
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
				p = traefik{one.Name, service.Container, pingURL(one.Files)}
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

// pingURL returns the URL of Traefik's ping according to its project's files; by
// default the entry point "traefik" at port 8080.
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
