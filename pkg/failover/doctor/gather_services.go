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

// revivers match images of programs that start containers again, or make new
// ones in their place.
var revivers = regexp.MustCompile(`(?i)(^|[/_-])(docker-)?(autoheal|deunhealth|watchtower|ouroboros|restarter|resurrect)`)

// services looks at the projects and what they need of this machine.
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
	// An engine that is down keeps nothing else from being looked at.
	if boxes, err = d.askEngine(ctx, &s, networks); err != nil {
		s.Engine = err.Error()
		if docker.IsRefused(err) {
			s.EngineFix = exit.Hint(err)
		}
	}
	s.Revivers = findRevivers(boxes, func(b docker.Box) bool { return d.ours(b, found) })
	return s, d.places(ctx, &s, found, boxes)
}

// optional follows the driver of a network that is not a plain one.
const optional = " with options"

// askEngine looks for what the engine has of what is needed.
func (d *Doctor) askEngine(ctx context.Context, s *Services, networks []string) (boxes []docker.Box, err error) {
	if err := d.engine.Ping(ctx); err != nil {
		return nil, err
	}
	if err := d.needs(ctx, s); err != nil {
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

// firstLine is what a program said first when it failed: advice follows it.
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

// needs looks for the images of the projects and the files that they name.
func (d *Doctor) needs(ctx context.Context, s *Services) error {
	// What keeps projects from being found was said already.
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

// identity is the same for one image on engines that keep images in different
// ways; "" for none.
func identity(i docker.Image) string {
	if len(i.Layers) == 0 {
		return i.ID
	}
	return sum(fmt.Sprint(i.Layers, i.Created.Unix(), i.Platform))
}

// ours reports whether a container is stopped with the projects.
func (d *Doctor) ours(b docker.Box, projects []compose.Project) bool {
	if b.Project == "" {
		return false
	}
	folder := filepath.Clean(d.config().Services.Directory)
	if b.WorkingDir == folder || strings.HasPrefix(b.WorkingDir, folder+"/") {
		return true
	}
	return slices.ContainsFunc(projects, func(p compose.Project) bool { return p.Name == b.Project })
}

// findRevivers finds containers that start others again.
func findRevivers(boxes []docker.Box, ours func(docker.Box) bool) []Reviver {
	var found []Reviver
	for _, b := range boxes {
		if revivers.MatchString(b.Image) {
			found = append(found, Reviver{Name: b.Name, Image: b.Image, Ours: ours(b), Up: b.Up()})
		}
	}
	return found
}
