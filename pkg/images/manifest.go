package images

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Manifest is what a node says of its images to the others.
type Manifest struct {
	Node string     `json:"node"`
	Role state.Role `json:"role"`
	Term uint64     `json:"term"`
	Time time.Time  `json:"time"`
	// Platform is that of its engine.
	Platform string  `json:"platform"`
	Images   []Entry `json:"images"`
	// Problems are projects whose images are not known.
	Problems []string `json:"problems,omitempty"`
}

// Entry is the image that one project runs under one name.
type Entry struct {
	Project string `json:"project"`
	Ref     string `json:"image"`
	// Running says that a container runs it; else it is what the name stands
	// for there.
	Running bool `json:"running"`
	docker.Image
}

// Manifest says which images this node's projects run.
func (n *Node) Manifest(ctx context.Context) (Manifest, error) {
	m := Manifest{Node: n.Self.Name, Time: n.Now(), Images: []Entry{}}
	role, err := n.State.Role()
	if err != nil {
		return m, err
	}
	m.Role, m.Term = role.Role, role.Term
	if role.Boot != "" && role.Boot != bootID() {
		m.Role = state.RoleUnknown // what it was before the last boot
	}
	info, err := n.Engine.Info(ctx)
	if err != nil {
		return m, err
	}
	m.Platform = info.Platform
	containers, err := n.Engine.Containers(ctx)
	if err != nil {
		return m, err
	}
	projects, err := n.Projects(ctx)
	if err != nil {
		m.Problems = append(m.Problems, err.Error())
	}
	seen := map[string]docker.Image{}
	for _, p := range projects {
		if p.Err != nil {
			m.Problems = append(m.Problems, p.Err.Error())
		}
		for _, i := range p.Images {
			entry := Entry{Project: p.Name, Ref: i.Ref}
			id, err := n.runs(ctx, p.Name, i, containers)
			if err != nil {
				return m, err
			}
			if entry.Image, err = n.look(ctx, seen, id); err != nil {
				return m, err
			}
			entry.Running = entry.ID != ""
			if !entry.Running {
				if entry.Image, err = n.look(ctx, seen, i.Ref); err != nil {
					return m, err
				}
			}
			if entry.Incomplete() {
				m.Problems = append(m.Problems, incomplete(i.Ref).Error())
				continue
			}
			if entry.ID != "" {
				m.Images = append(m.Images, entry)
			}
		}
	}
	return m, nil
}

// runs returns the id of the image that a project's containers have under a
// name; "" when none has it.
func (n *Node) runs(ctx context.Context, project string, i compose.Image, containers []docker.Container) (string, error) {
	var found string
	up := false
	for _, c := range containers {
		if c.Project != project || !slices.Contains(i.Services, c.Service) || found != "" && (up || !c.Up()) {
			continue
		}
		ref := c.Image
		if strings.HasPrefix(ref, "sha256:") && ref != i.Ref {
			// The name stands for another image by now.
			details, err := n.Engine.Inspect(ctx, c.ID)
			if docker.NotFound(err) {
				continue
			}
			if err != nil {
				return "", err
			}
			ref = details.Image
		}
		if sameName(ref, i.Ref) {
			found, up = c.ImageID, c.Up()
		}
	}
	return found, nil
}

// look inspects an image once. One that is not there is the zero Image.
func (n *Node) look(ctx context.Context, seen map[string]docker.Image, ref string) (docker.Image, error) {
	if ref == "" {
		return docker.Image{}, nil
	}
	if i, known := seen[ref]; known {
		return i, nil
	}
	i, err := n.Engine.InspectImage(ctx, ref)
	if err != nil && !docker.NotFound(err) {
		return docker.Image{}, err
	}
	seen[ref] = i
	return i, nil
}

// sameName reports whether two names are one image's: web and web:latest are.
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := parse(a)
	y, errY := parse(b)
	return errX == nil && errY == nil && x == y
}

// bootID returns the kernel's id of this boot; "" when it can't be read.
func bootID() string {
	id, err := state.BootID()
	if err != nil {
		return ""
	}
	return id
}

// wanted is what the active node has under a name: of two projects that run
// different images, the later made image counts, and conflict says so.
func (m *Manifest) wanted(ref string) (image docker.Image, conflict string) {
	if m == nil {
		return docker.Image{}, ""
	}
	var best Entry
	for _, e := range m.Images {
		switch {
		case !sameName(e.Ref, ref):
		case best.ID == "", e.Running && !best.Running:
			best = e
		case e.Running == best.Running && e.ID != best.ID:
			conflict = fmt.Sprintf("%s runs different images as %s in %s and %s: a standby can have one of them under that name", m.Node, ref, best.Project, e.Project)
			if e.Created.After(best.Created) {
				best = e
			}
		}
	}
	return best.Image, conflict
}
