package compose

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// describe takes from the loaded files what matters here.
func (c *candidate) describe(p *types.Project) {
	binds, networks := map[string]bool{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		s := p.Services[name]
		if s.GetScale() == 0 {
			continue
		}
		service := Service{
			Name: name, Image: s.Image, Restart: restart(s),
			Container: cmp.Or(s.ContainerName, p.Name+"-"+name+"-1"),
			Health:    s.HealthCheck != nil && !s.HealthCheck.Disable,
		}
		c.Services = append(c.Services, service)
		c.Warnings = append(c.Warnings, warnings(service, s)...)
		for _, path := range bindsOf(p, s) {
			binds[filepath.Clean(path)] = true
		}
		for key := range s.Networks {
			if network := p.Networks[key]; bool(network.External) {
				networks[network.Name] = true
			}
		}
	}
	c.Binds = slices.Sorted(maps.Keys(binds))
	c.Networks = slices.Sorted(maps.Keys(networks))
}

// restart is the policy that Compose gives the service's containers.
func restart(s types.ServiceConfig) string {
	if s.Restart != "" {
		policy, _, _ := strings.Cut(s.Restart, ":") // on-failure:3
		return policy
	}
	if s.Deploy == nil || s.Deploy.RestartPolicy == nil {
		return "no"
	}
	switch condition := s.Deploy.RestartPolicy.Condition; condition {
	case "none":
		return "no"
	case "on-failure", "unless-stopped":
		return condition
	}
	return "always"
}

func warnings(service Service, s types.ServiceConfig) []string {
	var list []string
	switch service.Restart {
	case "always":
		list = append(list, fmt.Sprintf("service %s has the restart policy always: a reboot or dockerd's restart revives it on a node that is not active; unless-stopped leaves it stopped", service.Name))
	case "on-failure":
		list = append(list, fmt.Sprintf("service %s has the restart policy on-failure: a reboot or dockerd's restart revives it after it was killed; unless-stopped leaves it stopped", service.Name))
	}
	if s.Build != nil && s.Image == "" {
		list = append(list, fmt.Sprintf("service %s is built and its image has no name: build it on each node, or name it with image: and a registry", service.Name))
	}
	return list
}

// bindsOf returns the paths of this machine that a service's containers get.
func bindsOf(p *types.Project, s types.ServiceConfig) []string {
	var paths []string
	for _, v := range s.Volumes {
		switch v.Type {
		case types.VolumeTypeBind:
			paths = append(paths, v.Source)
		case types.VolumeTypeVolume:
			volume := p.Volumes[v.Source]
			device := volume.DriverOpts["device"]
			if (volume.Driver == "" || volume.Driver == "local") && filepath.IsAbs(device) {
				paths = append(paths, device)
			}
		}
	}
	for _, secret := range s.Secrets {
		paths = append(paths, p.Secrets[secret.Source].File)
	}
	for _, conf := range s.Configs {
		paths = append(paths, p.Configs[conf.Source].File)
	}
	return slices.DeleteFunc(paths, func(path string) bool { return !filepath.IsAbs(path) })
}
