package doctor

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// services judges the projects of one node.
func (j *judging) services(f *Facts, add add) {
	s := f.Services
	if s == nil {
		return
	}
	if s.Engine != "" {
		add("engine", Error, s.Engine, "no project can be started", cmp.Or(s.EngineFix, "systemctl restart docker; journalctl -u docker"))
	}
	if s.Problem != "" {
		add("projects", Error, s.Problem, "what is not found is not started", "correct services.directory and services.projects in "+j.file())
	}
	if s.Compose != "" {
		add("compose", Error, "docker compose can't be called: "+s.Compose, "no project can be started", installsCompose(f.System))
	}
	for _, name := range s.Unknown {
		add("first", Error, "services.first names "+name+", which is no project", "nothing waits for it", "correct services.first in "+j.file())
	}
	for _, p := range s.Projects {
		j.project(p, add)
	}
	j.images(f, add)
	for _, r := range s.Revivers {
		switch {
		case !r.Ours && r.Up:
			add("reviver", Error, fmt.Sprintf("container %s (%s) starts others again, and is none of the projects'", r.Name, r.Image), "on a node that gives up it revives what was stopped, and both nodes write", "docker rm -f "+r.Name)
		case r.Ours:
			add("reviver", Warning, fmt.Sprintf("container %s (%s) starts others again", r.Name, r.Image), "it may revive a container while the node gives up", "take it out of the projects: Compose restarts what ends, and keepalived looks after the rest")
		}
	}
	if f.Status == nil || f.Status.Services == nil {
		return
	}
	if running := f.Status.Services.Running; j.standby(f) && len(running) > 0 {
		add("running", Error, "projects run on a standby: "+list(running), "two nodes serve, and write", "failover-notify join, or: docker compose -p PROJECT stop")
	}
	if lame := f.Status.Services.Lame; f == j.active && len(lame) > 0 {
		add("lame", Warning, "services do not run: "+list(lame), "they would not run after a failover either", "docker compose logs; docker compose up -d")
	}
}

func (j *judging) project(p Project, add add) {
	// A file that is missing keeps it from being loaded too.
	if p.Error != "" && len(p.Missing) == 0 {
		add("project", Error, "project "+p.Name+" can't be loaded: "+p.Error, "it is not started", "docker compose config, in the project's folder")
	}
	for _, missing := range p.Missing {
		add("project-file", Error, "project "+p.Name+": "+missing, "Compose does not start it", "copy the file from the other node, or take it into the repository")
	}
	for _, w := range p.Warnings {
		check, fix := "project-warning", "docker compose config, in the project's folder"
		if strings.Contains(w, "restart policy") {
			check, fix = "restart", "restart: unless-stopped, in the Compose file; then: docker compose up -d"
		}
		add(check, Warning, "project "+p.Name+": "+w, "a failover may not bring what is expected", fix)
	}
}

// places judges where the data of the projects lies: on the active node, whose
// data counts, or on each while none is active.
func (j *judging) places() {
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

// everywhere reports whether a place is only read, and is on all nodes, as far as
// they have answered.
func (j *judging) everywhere(f *Facts, project string, place Place) bool {
	if !place.ReadOnly || !place.Here {
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
				return place.Here
			}
		}
	}
	return false
}

func (j *judging) place(project string, p Place, add add) {
	on := p.On
	if on == "" {
		on = "what can't be told"
	}
	const why = "it would not be on the standby"
	move := j.home(p)
	switch {
	case anonymous.MatchString(p.Volume):
		add("volume", Warning, fmt.Sprintf("project %s: a volume without a name holds data, on %s (%s)", project, on, p.Path), why, "name a folder of a replicated dataset for it under volumes: in the Compose file")
	case p.Volume != "":
		add("volume", Error, fmt.Sprintf("project %s: the volume %s lies on %s, which is not replicated (%s)", project, p.Volume, on, p.Path), why, move)
	case !p.Here:
		add("bind", Warning, fmt.Sprintf("project %s: %s is not there yet, and would lie on %s, which is not replicated", project, p.Path, on), why, move)
	case p.ReadOnly:
		add("bind", Error, fmt.Sprintf("project %s: %s lies on %s, which is not replicated, and is not on the other node", project, p.Path, on), why, "copy it to the other node (scp -p), or take it into the repository")
	default:
		add("bind", Error, fmt.Sprintf("project %s: %s lies on %s, which is not replicated", project, p.Path, on), why, move)
	}
}

// home is how what lies at a place comes to be replicated.
func (j *judging) home(p Place) string {
	dataset := p.On != "" && !strings.Contains(p.On, " (")
	for _, entry := range j.cfg.Replication.Datasets {
		for _, name := range entry.Exclude {
			if dataset && zfs.Within(p.On, name) {
				return "take " + name + " out of exclude in " + j.file() + ", on both nodes"
			}
		}
	}
	if dataset {
		return "add " + p.On + " to replication.datasets in " + j.file() + ", on both nodes"
	}
	return "copy it to a folder of a replicated dataset (cp -a " + p.Path + "/. FOLDER), and mount that one"
}
