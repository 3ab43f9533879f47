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

// Deadlines of what is called.
const (
	short  = 30 * time.Second
	medium = 4 * time.Minute
	// long is for what may move all data there is.
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

// checkPools looks whether what is to be replicated is here, and has a place
// there.
func (s *Setup) checkPools(ctx context.Context) error {
	for _, d := range s.cfg.Replication.Datasets {
		if _, err := call(ctx, s.here, short, "zfs", "list", "-H", "-o", "name", d.Name); err != nil {
			if _, there := call(ctx, s.there, short, "zfs", "list", "-H", "-o", "name", d.TargetName()); there != nil {
				return &AnswerError{"--dataset", fmt.Sprintf("%s is on neither node", d.Name), "see what there is with: zfs list"}
			}
		}
		for _, one := range []struct {
			n    *node
			name string
		}{{s.here, d.Name}, {s.there, d.TargetName()}} {
			if !one.n.hasPool(zfs.PoolOf(one.name)) {
				return &LackError{one.n.name, "there is no pool " + zfs.PoolOf(one.name), "make it: zpool create " + zfs.PoolOf(one.name) + " …; what is in it comes by replication"}
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

// checkProjects looks whether the other node has the projects' files, or can
// get them.
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
	return &LackError{s.there.name, "the projects' files are not there: " + strings.Join(missing, ", "),
		"copy them, with what lies beside them: rsync -a " + folder + "/ root@" + s.there.address + ":" + folder + "/"}
}

// starts looks whether a node can start projects: setting up stops those that run
// here, and then it is too late to find that out.
func (s *Setup) starts(ctx context.Context, n *node) error {
	for _, one := range []struct {
		argv         []string
		what, advice string
	}{
		{[]string{"docker", "compose", "version"}, "docker compose can't be called", "apt install docker-compose (Debian 13), docker-compose-v2 (Ubuntu), or docker-compose-plugin (Docker's own packages, on Debian 12 too)"},
		{[]string{"docker", "version", "--format", "{{.Server.Version}}"}, "the Docker Engine does not answer", "systemctl status docker"},
	} {
		_, err := n.Run(ctx, machine.Call{Argv: one.argv, Timeout: short})
		if failed, ok := errors.AsType[*run.Error](err); ok {
			first, _, _ := strings.Cut(strings.TrimSpace(failed.Stderr), "\n") // the rest is docker's advice
			return &LackError{n.name, fmt.Sprintf("%s: %s", one.what, cmp.Or(first, failed.Error())), one.advice}
		}
		if err != nil {
			return fmt.Errorf("on %s: %w", n.name, err)
		}
	}
	return nil
}

// checkAddress looks whether something else has the virtual address already.
func (s *Setup) checkAddress(ctx context.Context) error {
	if s.here.says(ctx).Role != "" || s.there.says(ctx).Role != "" {
		return nil // the pair runs, and it is its own
	}
	vip, err := netip.ParsePrefix(s.cfg.VirtualIP)
	if err != nil {
		return nil // replication alone
	}
	if _, err := s.here.Run(ctx, machine.Call{Argv: []string{"ping", "-c", "1", "-W", "1", vip.Addr().String()}, Timeout: short}); err != nil {
		return nil // nobody answers, which is as it should be, or nobody can be asked
	}
	return &AnswerError{"--virtual-ip", fmt.Sprintf("something has %s already: it answers", vip.Addr()), "take a free address, or find out who has it: ip neigh show " + vip.Addr().String()}
}

// checkout is the step that fetches the projects' files onto the other node.
func (s *Setup) checkout() step {
	folder := s.cfg.Services.Directory
	return step{
		name: "projects' files on " + s.there.name,
		look: func(context.Context) (found, error) {
			return found{done: s.origin == "", says: folder, detail: "git clone " + s.origin + " " + folder + "\n"}, nil
		},
		do: func(ctx context.Context) error {
			_, err := s.there.Run(ctx, machine.Call{Argv: []string{"git", "clone", "--quiet", "--", s.origin, folder}, Timeout: medium, Env: []string{"GIT_TERMINAL_PROMPT=0"}})
			if err != nil {
				return &LackError{s.there.name, fmt.Sprintf("fetch the projects' files: %v", err), "give it a way to " + s.origin + ", or copy the folder: rsync -a " + folder + "/ root@" + s.there.address + ":" + folder + "/"}
			}
			return nil
		},
	}
}
