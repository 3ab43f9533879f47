package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/setup/machine"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Deadlines of calls.
const (
	short  = 30 * time.Second
	medium = 4 * time.Minute
	// long is for calls that may transfer all data.
	long = 14 * 24 * time.Hour
)

// call runs a program on a node.
func call(ctx context.Context, n *node, timeout time.Duration, argv ...string) (string, error) {
	out, err := n.Run(ctx, machine.Call{Argv: argv, Timeout: timeout})
	if err != nil {
		return out.Stdout, fmt.Errorf("on %s: %w", n.name, err)
	}
	return out.Stdout, nil
}

// checkPools checks that the datasets exist here, and that both nodes have the pools.
func (s *Setup) checkPools(ctx context.Context) error {
	for _, d := range s.cfg.Replication.Datasets {
		if _, err := call(ctx, s.here, short, "zfs", "list", "-H", "-o", "name", d.Name); err != nil {
			if _, there := call(ctx, s.there, short, "zfs", "list", "-H", "-o", "name", d.TargetName()); there != nil {
				return &AnswerError{"--dataset", fmt.Sprintf("%s is on neither node", d.Name), "list the datasets with: zfs list"}
			}
		}
		for _, one := range []struct {
			n    *node
			name string
		}{{s.here, d.Name}, {s.there, d.TargetName()}} {
			if !one.n.hasPool(zfs.PoolOf(one.name)) {
				return &NotReadyError{one.n.name, "no pool " + zfs.PoolOf(one.name), "create it: zpool create " + zfs.PoolOf(one.name) + " …; replication creates its datasets"}
			}
		}
	}
	return nil
}

func (n *node) hasPool(name string) bool {
	for _, p := range n.Pools {
		if p.Name == name {
			return true
		}
	}
	return false
}

// checkProjects checks that the other node has the projects' files, or can fetch them.
func (s *Setup) checkProjects(ctx context.Context) error {
	if len(s.cfg.Services.Projects) == 0 {
		return nil
	}
	projects, err := compose.Find(ctx, s.cfg.Services)
	if err != nil {
		return err
	}
	if err := errors.Join(s.starts(ctx, s.here), s.starts(ctx, s.there)); err != nil {
		return err
	}
	var missing []string
	for _, p := range projects {
		if p.Err != nil {
			return p.Err
		}
		for _, file := range p.Files {
			there, err := s.there.Read(ctx, file)
			if err != nil {
				return err
			}
			if !there.Found {
				missing = append(missing, file)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	folder := s.cfg.Services.Directory
	if out, err := call(ctx, s.here, short, "git", "-C", folder, "remote", "get-url", "origin"); err == nil && s.there.Programs["git"] != "" {
		if _, err := call(ctx, s.there, short, "test", "-e", folder); err != nil {
			s.origin = strings.TrimSpace(out)
			return nil
		}
	}
	return &NotReadyError{s.there.name, "missing project files: " + strings.Join(missing, ", "),
		"copy their folder: rsync -a " + folder + "/ root@" + s.there.address + ":" + folder + "/"}
}

// starts checks that a node can start projects: later, the setup stops those that run
// here.
func (s *Setup) starts(ctx context.Context, n *node) error {
	for _, one := range []struct {
		argv         []string
		what, advice string
	}{
		{[]string{"docker", "compose", "version"}, "docker compose does not work", "apt install docker-compose (Debian 13), docker-compose-v2 (Ubuntu), or docker-compose-plugin (Docker's own packages, on Debian 12 too)"},
		{[]string{"docker", "version", "--format", "{{.Server.Version}}"}, "the Docker Engine does not answer", "systemctl status docker"},
	} {
		_, err := n.Run(ctx, machine.Call{Argv: one.argv, Timeout: short})
		if failed, ok := errors.AsType[*run.Error](err); ok {
			first, _, _ := strings.Cut(strings.TrimSpace(failed.Stderr), "\n") // the rest is docker's advice
			return &NotReadyError{n.name, fmt.Sprintf("%s: %s", one.what, cmp.Or(first, failed.Error())), one.advice}
		}
		if err != nil {
			return fmt.Errorf("on %s: %w", n.name, err)
		}
	}
	return nil
}

// checkAddress checks that no other machine has the virtual IP.
func (s *Setup) checkAddress(ctx context.Context) error {
	if s.here.peerState(ctx).Role != "" || s.there.peerState(ctx).Role != "" {
		return nil // the pair is running, and holds it
	}
	vip, err := netip.ParsePrefix(s.cfg.VirtualIP)
	if err != nil {
		return nil // replication alone
	}
	if _, err := s.here.Run(ctx, machine.Call{Argv: []string{"ping", "-c", "1", "-W", "1", vip.Addr().String()}, Timeout: short}); err != nil {
		return nil // free, or there is no ping
	}
	return &AnswerError{"--virtual-ip", fmt.Sprintf("%s is in use: it answers", vip.Addr()), "take a free address, or find its owner: ip neigh show " + vip.Addr().String()}
}

// checkout returns the step that fetches the projects' files to the other node.
func (s *Setup) checkout() step {
	folder := s.cfg.Services.Directory
	return step{
		name: "project files on " + s.there.name,
		check: func(context.Context) (stepState, error) {
			return stepState{done: s.origin == "", summary: folder, detail: "git clone " + s.origin + " " + folder + "\n"}, nil
		},
		do: func(ctx context.Context) error {
			_, err := s.there.Run(ctx, machine.Call{Argv: []string{"git", "clone", "--quiet", "--", s.origin, folder}, Timeout: medium, Env: []string{"GIT_TERMINAL_PROMPT=0"}})
			if err != nil {
				return &NotReadyError{s.there.name, fmt.Sprintf("fetch the project files: %v", err), "give it access to " + s.origin + ", or copy the folder: rsync -a " + folder + "/ root@" + s.there.address + ":" + folder + "/"}
			}
			return nil
		},
	}
}
