package setup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/setup/machine"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// serviceHome is the home of the user that the nodes log in as.
const serviceHome = "/var/lib/understudy-ssh"

// receiving holds the ZFS permissions for receiving, besides the properties in
// streams. Sending needs none: root runs it.
var receiving = []string{"create", "receive", "mount", "destroy", "rename", "readonly", "canmount", "userprop"}

// account returns the step that creates the user and, if there are projects, adds it
// to the group docker.
func (s *Setup) account(n *node) step {
	add := []string{"useradd", "--system", "--user-group", "--create-home", "--home-dir", serviceHome, "--shell", "/bin/sh", "--comment", "Understudy: the other node", s.user}
	group := []string{"usermod", "--append", "--groups", "docker", s.user}
	docker := len(s.cfg.Services.Projects) > 0
	look := func(ctx context.Context) (there, member bool) {
		out, err := n.Run(ctx, machine.Call{Argv: []string{"id", "-nG", s.user}, Timeout: short})
		return err == nil, !docker || slices.Contains(strings.Fields(out.Stdout), "docker")
	}
	return step{
		name: "user on " + n.name,
		check: func(ctx context.Context) (stepState, error) {
			there, member := look(ctx)
			f := stepState{done: there && member, summary: s.user}
			if docker {
				f.summary += ", in the group docker, which is as powerful as root"
			}
			f.detail = quoted(add)
			if docker {
				f.detail += quoted(group)
			}
			return f, ctx.Err()
		},
		do: func(ctx context.Context) error {
			there, member := look(ctx)
			if !there {
				if _, err := call(ctx, n, short, add...); err != nil {
					return err
				}
				_, member = look(ctx)
			}
			if member {
				return nil
			}
			_, err := call(ctx, n, short, group...)
			return err
		},
	}
}

// stateFolder returns the step that lets the user write to the state folder.
func (s *Setup) stateFolder(n *node) step {
	folder := n.cfg.StateDir
	argv := []string{"install", "-d", "-m", "2775", "-g", s.user, folder}
	return step{
		name: "state folder on " + n.name,
		check: func(ctx context.Context) (stepState, error) {
			out, err := n.Run(ctx, machine.Call{Argv: []string{"stat", "-c", "%a %G", folder}, Timeout: short})
			return stepState{done: err == nil && strings.TrimSpace(out.Stdout) == "2775 "+s.user, summary: folder, detail: quoted(argv)}, ctx.Err()
		},
		do: func(ctx context.Context) error {
			_, err := call(ctx, n, short, argv...)
			return err
		},
	}
}

// delegation returns the step that lets the user receive, and nothing else of ZFS.
func (s *Setup) delegation(n *node) step {
	type grant struct {
		dataset string
		permit  []string
	}
	lacking := func(ctx context.Context) ([]grant, error) {
		set, err := s.properties(ctx)
		if err != nil {
			return nil, err
		}
		var list []grant
		for _, d := range s.cfg.Replication.Datasets {
			name := d.Name
			if n == s.there {
				name = d.TargetName()
			}
			// A missing dataset is received into the one above.
			for ; zfs.Parent(name) != ""; name = zfs.Parent(name) {
				if _, err := n.Run(ctx, machine.Call{Argv: []string{"zfs", "list", "-H", "-o", "name", name}, Timeout: short}); err == nil {
					break
				}
			}
			said, err := call(ctx, n, short, "zfs", "allow", name)
			if err != nil {
				return nil, err
			}
			has := granted(said, s.user)
			g := grant{dataset: name}
			for _, p := range slices.Concat(receiving, set) {
				if !slices.Contains(has, p) {
					g.permit = append(g.permit, p)
				}
			}
			if len(g.permit) > 0 {
				list = append(list, g)
			}
		}
		return list, nil
	}
	return step{
		name: "ZFS permissions on " + n.name,
		check: func(ctx context.Context) (stepState, error) {
			list, err := lacking(ctx)
			f := stepState{done: len(list) == 0, summary: "for " + s.user}
			for _, g := range list {
				f.detail += fmt.Sprintf("zfs allow -u %s %s %s\n", s.user, strings.Join(g.permit, ","), g.dataset)
			}
			return f, err
		},
		do: func(ctx context.Context) error {
			list, err := lacking(ctx)
			if err != nil {
				return err
			}
			for _, g := range list {
				if _, err := call(ctx, n, short, "zfs", "allow", "-u", s.user, strings.Join(g.permit, ","), g.dataset); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// properties returns the properties that are set on the replicated datasets of the
// active node: streams contain them.
func (s *Setup) properties(ctx context.Context) ([]string, error) {
	active, _ := s.active(ctx)
	var list []string
	for _, d := range s.cfg.Replication.Datasets {
		name := d.Name
		if active == s.there {
			name = d.TargetName()
		}
		out, err := call(ctx, active, medium, "zfs", "get", "-r", "-H", "-t", "filesystem,volume", "-s", "local,received", "-o", "property", "all", name)
		if err != nil {
			return nil, err
		}
		for _, p := range strings.Fields(out) {
			// userprop allows user properties.
			if !strings.Contains(p, ":") && !slices.Contains(list, p) && !slices.Contains(receiving, p) {
				list = append(list, p)
			}
		}
	}
	slices.Sort(list)
	return list, nil
}

// granted returns the permissions of a user in the output of "zfs allow".
func granted(text, user string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "user" && words[1] == user {
			list = append(list, strings.Split(words[2], ",")...)
		}
	}
	return list
}
