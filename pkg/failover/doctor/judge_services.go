package doctor

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// services judges the projects of one node.
func (j *judge) services(f *Facts, add add) {
	s := f.Services
	if s == nil {
		return
	}
	if s.Engine != "" {
		add("engine", Error, s.Engine, "no project can start", cmp.Or(s.EngineFix, "systemctl restart docker; journalctl -u docker"))
	}
	if s.Problem != "" {
		add("projects", Error, s.Problem, "a project that is not found does not start", "correct services.directory and services.projects in "+j.file())
	}
	if s.Compose != "" {
		add("compose", Error, "docker compose does not work: "+s.Compose, "no project can start", installComposeFix(f.System))
	}
	for _, name := range s.Unknown {
		add("first", Error, "services.first names "+name+", which is not a project", "other projects do not wait for it", "correct services.first in "+j.file())
	}
	for _, p := range s.Projects {
		j.project(p, add)
	}
	j.images(f, add)
	for _, r := range s.Revivers {
		switch {
		case !r.Ours && r.Up:
			add("reviver", Error, fmt.Sprintf("container %s (%s) restarts others, and belongs to no project", r.Name, r.Image), "on a node that steps down it revives stopped containers, and both nodes write", "docker rm -f "+r.Name)
		case r.Ours:
			add("reviver", Warning, fmt.Sprintf("container %s (%s) restarts others", r.Name, r.Image), "it can revive a container while the node steps down", "remove it from the projects: Docker's restart policies restart containers that end")
		}
	}
	if f.Status == nil || f.Status.Services == nil {
		return
	}
	if running := f.Status.Services.Running; j.standby(f) && len(running) > 0 {
		add("running", Error, "projects run on a standby: "+list(running), "two nodes serve, and write", "failover-notify join, or: docker compose -p PROJECT stop")
	}
	if lame := f.Status.Services.Lame; f == j.active && len(lame) > 0 {
		add("lame", Warning, "services not running: "+list(lame), "they would not run after a failover either", "docker compose logs; docker compose up -d")
	}
}

func (j *judge) project(p Project, add add) {
	// A missing file is also a reason why it can't be loaded.
	if p.Error != "" && len(p.Missing) == 0 {
		add("project", Error, "cannot load project "+p.Name+": "+p.Error, "it does not start", "docker compose config, in the project's folder")
	}
	for _, missing := range p.Missing {
		add("project-file", Error, "project "+p.Name+": "+missing, "Compose does not start it", "copy the file from the other node, or add it to the repository")
	}
	for _, w := range p.Warnings {
		check, fix := "project-warning", "docker compose config, in the project's folder"
		if strings.Contains(w, "restart policy") {
			check, fix = "restart", "restart: unless-stopped, in the Compose file; then: docker compose up -d"
		}
		add(check, Warning, "project "+p.Name+": "+w, "a failover may not restore the expected state", fix)
	}
}

// places judges the location of the projects' data: on the active node, or on every
// node if none is active.
func (j *judge) places() {
	for i := range j.nodes {
		f := &j.nodes[i]
		if f.Services == nil || j.active != nil && f != j.active {
			continue
		}
		for _, p := range f.Services.Projects {
			for _, place := range p.Places {
				if !place.Replicated && !place.InGit && !place.System && !j.everywhere(f, p.Name, place) {
					j.place(p.Name, place, j.found.on(f.Node))
				}
			}
		}
	}
}

// everywhere reports whether a place is read-only and exists on all nodes that
// answered.
func (j *judge) everywhere(f *Facts, project string, place Place) bool {
	if !place.ReadOnly || !place.Exists {
		return false
	}
	for _, other := range j.others(f) {
		if !has(other, project, place.Path) {
			return false
		}
	}
	return true
}

func has(f *Facts, project, path string) bool {
	if f.Services == nil {
		return false
	}
	for _, p := range f.Services.Projects {
		for _, place := range p.Places {
			if p.Name == project && place.Path == path {
				return place.Exists
			}
		}
	}
	return false
}

func (j *judge) place(project string, p Place, add add) {
	on := p.On
	if on == "" {
		on = "an unknown filesystem"
	}
	const why = "the standby would lack it"
	move := j.replicateFix(p)
	switch {
	case anonymous.MatchString(p.Volume):
		add("volume", Warning, fmt.Sprintf("project %s: an anonymous volume holds data, on %s (%s)", project, on, p.Path), why, "in the Compose file, under volumes:, give it a folder of a replicated dataset")
	case p.Volume != "":
		add("volume", Error, fmt.Sprintf("project %s: volume %s lies on %s, which is not replicated (%s)", project, p.Volume, on, p.Path), why, move)
	case !p.Exists:
		add("bind", Warning, fmt.Sprintf("project %s: %s does not exist yet, and would lie on %s, which is not replicated", project, p.Path, on), why, move)
	case p.ReadOnly:
		add("bind", Error, fmt.Sprintf("project %s: %s lies on %s, which is not replicated, and the other node lacks it", project, p.Path, on), why, "copy it to the other node (scp -p), or add it to the repository")
	default:
		add("bind", Error, fmt.Sprintf("project %s: %s lies on %s, which is not replicated", project, p.Path, on), why, move)
	}
}

// replicateFix returns how to replicate the data at a place.
func (j *judge) replicateFix(p Place) string {
	dataset := p.On != "" && !strings.Contains(p.On, " (")
	for _, entry := range j.cfg.Replication.Datasets {
		for _, name := range entry.Exclude {
			if dataset && zfs.Within(p.On, name) {
				return "remove " + name + " from exclude in " + j.file() + ", on both nodes"
			}
		}
	}
	if dataset {
		return "add " + p.On + " to replication.datasets in " + j.file() + ", on both nodes"
	}
	return "copy it to a folder of a replicated dataset (cp -a " + p.Path + "/. FOLDER), and mount that folder"
}
