package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/run"
)

// revivers matches images of programs that restart or replace containers.
var revivers = regexp.MustCompile(`(?i)(^|[/_-])(docker-)?(autoheal|deunhealth|watchtower|ouroboros|restarter|resurrect)`)

// services returns the projects and their dependencies on this machine.
func (d *Doctor) services(ctx context.Context) (Services, error) {
	cfg := d.config().Services
	s := Services{Projects: []Project{}, Images: map[string]string{}, Networks: map[string]string{}}
	found, err := compose.Find(ctx, cfg)
	if err != nil {
		s.Problem = err.Error()
	}
	if _, err := d.output(ctx, "docker", "compose", "version"); err != nil {
		s.Compose = firstLine(err)
	}
	_, _, s.Unknown = compose.Order(found, cfg.First)
	networks := slices.Clone(cfg.Networks)
	for _, p := range found {
		one := Project{Name: p.Name, Warnings: p.Warnings}
		if p.Err != nil {
			one.Error = p.Err.Error()
		}
		s.Projects = append(s.Projects, one)
		networks = append(networks, p.Networks...)
	}
	var boxes []docker.Box
	// The other checks do not need the engine.
	if boxes, err = d.askEngine(ctx, &s, networks); err != nil {
		s.Engine = err.Error()
		if docker.IsRefused(err) {
			s.EngineFix = exit.Hint(err)
		}
	}
	s.Revivers = findRevivers(boxes, func(b docker.Box) bool { return d.stopsWithProjects(b, found) })
	return s, d.places(ctx, &s, found, boxes)
}

// optional follows the driver of a network with options.
const optional = " with options"

// askEngine adds images, files and networks, and returns the containers.
func (d *Doctor) askEngine(ctx context.Context, s *Services, networks []string) (boxes []docker.Box, err error) {
	if err := d.engine.Ping(ctx); err != nil {
		return nil, err
	}
	if err := d.imagesAndFiles(ctx, s); err != nil {
		return nil, err
	}
	for _, name := range networks {
		network, err := d.engine.InspectNetwork(ctx, name)
		if err != nil {
			return nil, err
		}
		s.Networks[name] = network.Driver
		if network.Driver != "" && !network.Plain {
			s.Networks[name] += optional
		}
	}
	return d.engine.Boxes(ctx)
}

// firstLine returns the first line that a failed program printed: advice follows it.
func firstLine(err error) string {
	if failed, ok := errors.AsType[*run.Error](err); ok && !failed.TimedOut {
		for line := range strings.Lines(failed.Stderr) {
			if line = strings.TrimSpace(line); line != "" {
				return line
			}
		}
	}
	return err.Error()
}

// imagesAndFiles adds the images of the projects, and the files that they lack.
func (d *Doctor) imagesAndFiles(ctx context.Context, s *Services) error {
	// services has reported the error already.
	all, _ := compose.Images(ctx, d.config().Services)
	for _, p := range all {
		for i := range s.Projects {
			if s.Projects[i].Name == p.Name {
				s.Projects[i].Missing = p.Problems
			}
		}
		for _, image := range p.Images {
			if image.Off {
				continue
			}
			if _, asked := s.Images[image.Ref]; asked {
				continue
			}
			here, err := d.engine.InspectImage(ctx, image.Ref)
			if err != nil && !docker.NotFound(err) {
				return err
			}
			s.Images[image.Ref] = identity(here)
		}
	}
	return nil
}

// identity identifies an image independently of the engine's image store; "" for none.
func identity(i docker.Image) string {
	if len(i.Layers) == 0 {
		return i.ID
	}
	return sum(fmt.Sprint(i.Layers, i.Created.Unix(), i.Platform))
}

// stopsWithProjects reports whether a container stops with the projects.
func (d *Doctor) stopsWithProjects(b docker.Box, projects []compose.Project) bool {
	if b.Project == "" {
		return false
	}
	folder := filepath.Clean(d.config().Services.Directory)
	if b.WorkingDir == folder || strings.HasPrefix(b.WorkingDir, folder+"/") {
		return true
	}
	return slices.ContainsFunc(projects, func(p compose.Project) bool { return p.Name == b.Project })
}

// findRevivers returns the containers that restart others.
func findRevivers(boxes []docker.Box, ours func(docker.Box) bool) []Reviver {
	var found []Reviver
	for _, b := range boxes {
		if revivers.MatchString(b.Image) {
			found = append(found, Reviver{Name: b.Name, Image: b.Image, Ours: ours(b), Up: b.Up()})
		}
	}
	return found
}
