package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Container is one line of the engine's list.
type Container struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Project string `json:"project,omitempty"` // of Compose
	Service string `json:"service,omitempty"`
	// WorkingDir is the folder of the project's first file.
	WorkingDir string `json:"working_dir,omitempty"`
	Image      string `json:"image"`
	ImageID    string `json:"image_id"`
	State      string `json:"state"` // created, running, paused, restarting, exited, …
}

// The labels by which Compose marks its containers.
const (
	labelProject    = "com.docker.compose.project"
	labelService    = "com.docker.compose.service"
	labelWorkingDir = "com.docker.compose.project.working_dir"
)

// Up reports whether the container has a process: a paused one does.
func (c Container) Up() bool {
	return c.State == "running" || c.State == "paused" || c.State == "restarting"
}

// Containers lists the containers that Compose made, in any state.
func (e *Engine) Containers(ctx context.Context) ([]Container, error) {
	filters, err := json.Marshal(map[string][]string{"label": {labelProject}})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var list []struct {
		ID      string `json:"Id"`
		Names   []string
		Image   string
		ImageID string
		State   string
		Labels  map[string]string
	}
	query := url.Values{"all": {"1"}, "filters": {string(filters)}}
	if err := e.call(ctx, DefaultTimeout, "list containers", http.MethodGet, "/containers/json", query, nil, &list); err != nil {
		return nil, err
	}
	containers := make([]Container, 0, len(list))
	for _, c := range list {
		one := Container{
			ID: c.ID, Image: c.Image, ImageID: c.ImageID, State: c.State,
			Project: c.Labels[labelProject], Service: c.Labels[labelService], WorkingDir: c.Labels[labelWorkingDir],
		}
		if len(c.Names) > 0 {
			one.Name = strings.TrimPrefix(c.Names[0], "/")
		}
		containers = append(containers, one)
	}
	slices.SortFunc(containers, func(a, b Container) int { return strings.Compare(a.Name, b.Name) })
	return containers, nil
}

// Details are what the engine knows of one container.
type Details struct {
	Container
	Running, Paused, Restarting bool
	// Health is "" for a container without a health check, else starting,
	// healthy or unhealthy. It says nothing unless Running.
	Health   string
	ExitCode int
	Started  time.Time
	// Restart is its restart policy: no, always, unless-stopped, on-failure.
	Restart string
	PID     int
	// Published are the ports that it publishes on this machine, while it runs.
	Published []Port
}

// Port is a port of a container that is published on this machine.
type Port struct {
	Host   string // the machine's address; 0.0.0.0 or :: for all
	Port   string // the machine's
	Inside string // the container's own, with its address in one of its networks
}

// Inspect looks at one container by its id or name.
func (e *Engine) Inspect(ctx context.Context, name string) (Details, error) {
	var c struct {
		ID    string `json:"Id"`
		Name  string
		Image string
		State struct {
			Status                      string
			Running, Paused, Restarting bool
			ExitCode, Pid               int
			StartedAt                   time.Time
			Health                      *struct{ Status string }
		}
		HostConfig struct{ RestartPolicy struct{ Name string } }
		Config     struct {
			Image  string
			Labels map[string]string
		}
		NetworkSettings networkSettings
	}
	if err := e.call(ctx, DefaultTimeout, "look at container "+name, http.MethodGet, "/containers/"+escape(name)+"/json", nil, nil, &c); err != nil {
		return Details{}, err
	}
	d := Details{
		Container: Container{
			ID: c.ID, Name: strings.TrimPrefix(c.Name, "/"), Image: c.Config.Image, ImageID: c.Image, State: c.State.Status,
			Project: c.Config.Labels[labelProject], Service: c.Config.Labels[labelService], WorkingDir: c.Config.Labels[labelWorkingDir],
		},
		Running: c.State.Running, Paused: c.State.Paused, Restarting: c.State.Restarting,
		ExitCode: c.State.ExitCode, Started: c.State.StartedAt, Restart: c.HostConfig.RestartPolicy.Name, PID: c.State.Pid,
		Published: c.NetworkSettings.published(),
	}
	// A stopped container still reports the last health it had.
	if c.State.Running && c.State.Health != nil && c.State.Health.Status != "none" {
		d.Health = c.State.Health.Status
	}
	return d, nil
}

// networkSettings is as much of a container's as matters here.
type networkSettings struct {
	Ports map[string][]struct {
		HostIP   string `json:"HostIp"`
		HostPort string
	}
	Networks map[string]struct{ IPAddress string }
}

// published lists the TCP ports that are published on this machine. Any of the
// container's addresses will do: this machine is in all of its networks.
func (s networkSettings) published() []Port {
	address := ""
	for _, name := range slices.Sorted(maps.Keys(s.Networks)) {
		address = cmp.Or(address, s.Networks[name].IPAddress)
	}
	var list []Port
	for inside, bindings := range s.Ports {
		port, isTCP := strings.CutSuffix(inside, "/tcp")
		if !isTCP || address == "" {
			continue
		}
		for _, b := range bindings {
			list = append(list, Port{Host: b.HostIP, Port: b.HostPort, Inside: net.JoinHostPort(address, port)})
		}
	}
	return list
}
