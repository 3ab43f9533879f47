package compose

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/understudy-ha/understudy/pkg/config"
)

// Image is an image that a project names.
type Image struct {
	// Ref is its name as the files have it, or as Compose names what it builds.
	Ref string
	// Platform is the one that the files ask for; "" is the engine's own.
	Platform string
	// Services are those that it is for, sorted.
	Services []string
	// Built says that the project builds it: a registry may not have it.
	Built bool
	// Off says that only services use it whose profiles are off.
	Off bool
}

// ProjectImages are the images of one project.
type ProjectImages struct {
	Name      string
	Directory string
	Images    []Image // by name
	// Problems are what will keep it from starting beside its images.
	Problems []string
	// Err says why its files can't be read. Name is then a guess.
	Err error
}

// Images returns the images of all projects, as Find finds them, by project.
// Services of profiles that are off count too, and so do volumes and hooks that
// are made of images. A project whose env_file is missing has its images all
// the same.
func Images(ctx context.Context, cfg config.Services) ([]ProjectImages, error) {
	found, err := each(ctx, cfg, (*candidate).loadImages)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("load projects: %w", context.Cause(ctx))
	}
	list := make([]ProjectImages, len(found))
	for i, c := range found {
		// Two projects with one name can't start, but need their images.
		list[i] = ProjectImages{Name: c.Name, Directory: c.Directory, Images: c.images, Problems: c.Warnings, Err: c.Err}
	}
	slices.SortFunc(list, func(a, b ProjectImages) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Directory, b.Directory))
	})
	return list, err
}

// loadImages reads the project's files for its images only.
func (c *candidate) loadImages(ctx context.Context) {
	c.Warnings = nil
	loaded := c.read(ctx, &unsetVariables{names: map[string]bool{}}, cli.WithoutEnvironmentResolution,
		cli.WithLoadOptions(func(o *loader.Options) { o.SkipResolveLabels = true }))
	if loaded == nil {
		return
	}
	images := map[[2]string]*Image{}
	for _, off := range []bool{false, true} {
		services := loaded.Services
		if off {
			services = loaded.DisabledServices
		}
		for _, name := range slices.Sorted(maps.Keys(services)) {
			s := services[name]
			for _, i := range imagesOf(loaded, s) {
				key := [2]string{i.Ref, i.Platform}
				if images[key] == nil {
					images[key] = &Image{Ref: i.Ref, Platform: i.Platform, Off: off}
				}
				one := images[key]
				one.Built = one.Built || i.Built
				one.Services = append(one.Services, name)
			}
			if !off {
				c.Warnings = append(c.Warnings, missingFiles(s)...)
			}
		}
	}
	for _, one := range images {
		slices.Sort(one.Services)
		one.Services = slices.Compact(one.Services)
		c.images = append(c.images, *one)
	}
	slices.SortFunc(c.images, func(a, b Image) int {
		return cmp.Or(cmp.Compare(a.Ref, b.Ref), cmp.Compare(a.Platform, b.Platform))
	})
}

// imagesOf are the images of one service: its own, and those that its volumes
// and hooks are made of.
func imagesOf(p *types.Project, s types.ServiceConfig) []Image {
	var list []Image
	switch {
	case s.Provider != nil: // no container
	case s.Image != "":
		list = append(list, Image{Ref: s.Image, Platform: s.Platform, Built: s.Build != nil})
	case s.Build != nil:
		list = append(list, Image{Ref: p.Name + "-" + s.Name, Platform: s.Platform, Built: true})
	}
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeImage {
			continue
		}
		// It may name a service, whose image is on the list by itself.
		if _, service := p.Services[v.Source]; !service {
			list = append(list, Image{Ref: v.Source})
		}
	}
	for _, hook := range s.PreStart {
		if hook.Image != "" {
			list = append(list, Image{Ref: hook.Image})
		}
	}
	return list
}

// missingFiles names the files without which Compose does not start a service.
func missingFiles(s types.ServiceConfig) []string {
	var list []string
	missing := func(kind, path string) {
		if _, err := os.Stat(path); err != nil {
			list = append(list, fmt.Sprintf("service %s: %s %s is not here", s.Name, kind, path))
		}
	}
	for _, file := range s.EnvFiles {
		if file.Required {
			missing("env_file", file.Path)
		}
	}
	for _, path := range s.LabelFiles {
		missing("label_file", path)
	}
	return list
}
