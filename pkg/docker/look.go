package docker

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Mount is what a container sees of this machine.
type Mount struct {
	Kind   string `json:"kind"`           // bind, volume, tmpfs, …
	Name   string `json:"name,omitempty"` // of a volume
	Source string `json:"source"`         // its path on this machine
	Write  bool   `json:"write"`          // not only readable
}

// Box is a container of anybody's, with what it sees of this machine.
type Box struct {
	Container
	Mounts []Mount `json:"mounts,omitempty"`
}

// Boxes lists all containers, also those that Compose did not make, in any
// state, by name.
func (e *Engine) Boxes(ctx context.Context) ([]Box, error) {
	var list []struct {
		ID      string `json:"Id"`
		Names   []string
		Image   string
		ImageID string
		State   string
		Labels  map[string]string
		Mounts  []struct {
			Type, Name, Source string
			RW                 bool
		}
	}
	if err := e.call(ctx, DefaultTimeout, "list containers", http.MethodGet, "/containers/json", url.Values{"all": {"1"}}, nil, &list); err != nil {
		return nil, err
	}
	boxes := make([]Box, 0, len(list))
	for _, c := range list {
		box := Box{Container: Container{
			ID: c.ID, Image: c.Image, ImageID: c.ImageID, State: c.State,
			Project: c.Labels[labelProject], Service: c.Labels[labelService], WorkingDir: c.Labels[labelWorkingDir],
		}}
		if len(c.Names) > 0 {
			box.Name = strings.TrimPrefix(c.Names[0], "/")
		}
		for _, m := range c.Mounts {
			box.Mounts = append(box.Mounts, Mount{Kind: m.Type, Name: m.Name, Source: m.Source, Write: m.RW})
		}
		boxes = append(boxes, box)
	}
	slices.SortFunc(boxes, func(a, b Box) int { return strings.Compare(a.Name, b.Name) })
	return boxes, nil
}

// Network is what matters here of a network.
type Network struct {
	Driver string // bridge, macvlan, …; "" where there is no such network
	// Plain says that it has no options: as EnsureNetwork makes it, but for its
	// driver and the addresses.
	Plain bool
}

// InspectNetwork looks at a network by its name. One that is not there is no
// error.
func (e *Engine) InspectNetwork(ctx context.Context, name string) (Network, error) {
	var n struct {
		Driver               string
		Internal, EnableIPv6 bool
		Options              map[string]string
	}
	err := e.call(ctx, DefaultTimeout, "look at network "+name, http.MethodGet, "/networks/"+escape(name), nil, nil, &n)
	if NotFound(err) {
		return Network{}, nil
	}
	// Newer engines write down what is so without being said.
	maps.DeleteFunc(n.Options, func(key, _ string) bool { return strings.HasPrefix(key, "com.docker.network.enable_ipv") })
	return Network{Driver: n.Driver, Plain: !n.Internal && !n.EnableIPv6 && len(n.Options) == 0}, err
}
