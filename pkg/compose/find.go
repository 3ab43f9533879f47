package compose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/compose-spec/compose-go/v2/loader"

	"github.com/understudy-ha/understudy/pkg/config"
)

// Find loads the projects that services.projects name, by name. One that can't
// be loaded has Err set and keeps no other from being found; of two with one
// name both have it. The projects are returned also when a pattern matches
// nothing, which is a *PatternError.
func Find(ctx context.Context, cfg config.Services) ([]Project, error) {
	found, err := each(ctx, cfg, (*candidate).load)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("load projects: %w", context.Cause(ctx))
	}
	projects := make([]Project, len(found))
	for i, c := range found {
		projects[i] = c.Project
	}
	slices.SortFunc(projects, func(a, b Project) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), slices.Compare(a.Files, b.Files))
	})
	refuseTwins(projects)
	return projects, err
}

// each looks for the projects and does something to each that can be read,
// several at the same time. The error is that of the patterns.
func each(ctx context.Context, cfg config.Services, do func(*candidate, context.Context)) ([]candidate, error) {
	matches, err := match(cfg)
	found := candidates(matches)
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i := range found {
		all.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			if found[i].Err == nil {
				do(&found[i], ctx)
			}
		})
	}
	all.Wait()
	return found, err
}

// match returns the files that the patterns match, sorted, each once.
func match(cfg config.Services) ([]string, error) {
	var files []string
	var errs []error
	for _, pattern := range cfg.Projects {
		if _, err := os.Stat(cfg.Directory); err != nil {
			return nil, &PatternError{Pattern: pattern, Directory: cfg.Directory, Err: err}
		}
		// Not filepath.Glob: the folder's own name may hold a * or a [.
		names, err := fs.Glob(os.DirFS(cfg.Directory), path.Clean(filepath.ToSlash(pattern)))
		if err != nil {
			errs = append(errs, &PatternError{Pattern: pattern, Directory: cfg.Directory, Err: err})
			continue
		}
		before := len(files)
		for _, name := range names {
			file := filepath.Join(cfg.Directory, name)
			if info, err := os.Stat(file); err == nil && !info.IsDir() {
				files = append(files, file)
			}
		}
		if len(files) == before {
			errs = append(errs, &PatternError{Pattern: pattern, Directory: cfg.Directory})
		}
	}
	slices.Sort(files)
	return slices.Compact(files), errors.Join(errs...)
}

// candidate is a project before it is loaded.
type candidate struct {
	Project
	env    map[string]string
	images []Image
}

// candidates makes projects of the files that were matched. A file that is a
// further one of another project, such as its override, is none by itself.
func candidates(matches []string) []candidate {
	var found []candidate
	for _, file := range matches {
		c := newCandidate(file)
		same := func(other candidate) bool { return slices.Equal(other.Files, c.Files) }
		if !slices.ContainsFunc(found, same) {
			found = append(found, c)
		}
	}
	return slices.DeleteFunc(slices.Clone(found), func(c candidate) bool {
		return slices.ContainsFunc(found, func(other candidate) bool {
			return slices.Contains(other.Files[1:], c.Files[0])
		})
	})
}

func newCandidate(file string) candidate {
	dir := filepath.Dir(file)
	c := candidate{Project: Project{Name: loader.NormalizeProjectName(filepath.Base(dir)), Directory: dir, Files: []string{file}}}
	var err error
	if c.env, err = environment(dir); err != nil {
		c.Err = &LoadError{File: file, Err: err, hint: "fix the file " + filepath.Join(dir, ".env")}
		return c
	}
	files, warning := filesOf(file, c.env)
	if filepath.Dir(files[0]) != dir {
		c.Err = &LoadError{File: file, Err: fmt.Errorf("COMPOSE_FILE in .env begins with %s, of another folder", files[0]),
			hint: "name a file of the project's own folder first"}
		return c
	}
	c.Files = files
	if warning != "" {
		c.Warnings = append(c.Warnings, warning)
	}
	return c
}

// refuseTwins marks the projects that share a name: each would take the other's
// containers for its own. Projects are sorted by name.
func refuseTwins(projects []Project) {
	for i := range projects {
		for j := range projects {
			if i == j || projects[i].Name != projects[j].Name || unnamed(projects[i]) || unnamed(projects[j]) {
				continue
			}
			projects[i].Err = &LoadError{File: projects[i].Files[0],
				Err:  &twinError{Name: projects[i].Name, Other: projects[j].Files[0]},
				hint: "give one of them another name: 'name:' at the top of its file"}
			break
		}
	}
}

// twinError says that two projects have one name.
type twinError struct{ Name, Other string }

func (e *twinError) Error() string {
	return fmt.Sprintf("%s is a project named %s too", e.Other, e.Name)
}

// unnamed says that a project's name is only a guess.
func unnamed(p Project) bool {
	_, twin := errors.AsType[*twinError](p.Err)
	return p.Err != nil && !twin
}
