package compose

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
)

// filesOf returns the files that Compose would take in the folder of file: what
// COMPOSE_FILE of its .env says, else file and, where Compose finds file by
// itself, the override beside it.
func filesOf(file string, env map[string]string) (files []string, warning string) {
	dir := filepath.Dir(file)
	if list := env["COMPOSE_FILE"]; list != "" {
		separator := env["COMPOSE_PATH_SEPARATOR"]
		if separator == "" {
			separator = string(os.PathListSeparator)
		}
		for _, name := range strings.Split(list, separator) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, name)
			}
			files = append(files, filepath.Clean(name))
		}
		return files, ""
	}
	files = []string{file}
	if !slices.Contains(cli.DefaultFileNames, filepath.Base(file)) {
		return files, ""
	}
	if taken := firstOf(dir, cli.DefaultFileNames); taken != file && taken != "" {
		return files, fmt.Sprintf("called by hand in %s, Compose takes %s instead of %s", dir, filepath.Base(taken), filepath.Base(file))
	}
	if override := firstOf(dir, cli.DefaultOverrideFileNames); override != "" {
		files = append(files, override)
	}
	return files, ""
}

// firstOf returns the first of the names that exists.
func firstOf(dir string, names []string) string {
	for _, name := range names {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}
