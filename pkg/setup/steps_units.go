package setup

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/packaging"
	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

const (
	unitFolder = "/etc/systemd/system"
	cronFolder = "/etc/cron.d"
)

// packaged holds the folders in which a package, or make install, installs units.
var packaged = []string{"/usr/lib/systemd/system", "/lib/systemd/system", "/usr/local/lib/systemd/system"}

// bootUnits returns the units that start at each boot.
func (s *Setup) bootUnits() []string {
	list := []string{"understudy-fence.service", "understudy-join.service", "understudy.service", "keepalived.service"}
	if len(s.cfg.Replication.Datasets) == 0 {
		list = list[1:]
	}
	return list
}

// scheduled returns the programs that run regularly, with their units.
func (s *Setup) scheduled() map[string]string {
	list := map[string]string{}
	if len(s.cfg.Replication.Datasets) > 0 {
		list["zfs-replicate"], list["lag-check"] = "understudy-replicate", "understudy-lag-check"
	}
	if len(s.cfg.Services.Projects) > 0 {
		list["image-sync"] = "understudy-image-sync"
	}
	return list
}

func (s *Setup) timers() []string {
	var list []string
	for _, unit := range s.scheduled() {
		list = append(list, unit+".timer")
	}
	slices.Sort(list)
	return list
}

// source returns a packaged file with the paths of a node's programs.
func source(n *node, name string) (string, error) {
	text, err := fs.ReadFile(packaging.Files, name)
	if err != nil {
		return "", fmt.Errorf("read embedded file %s: %w", name, err)
	}
	out := string(text)
	for _, program := range []string{"failover-notify", "zfs-replicate", "image-sync", "lag-check", "track-traefik"} {
		out = strings.ReplaceAll(out, usualPrograms+"/"+program, path.Join(n.Folder, program))
	}
	return out, nil
}

// unitFiles returns the units and the drop-in for keepalived.
func (s *Setup) unitFiles(n *node) ([]file, error) {
	names := []string{"keepalived.service.d/understudy.conf"}
	for _, unit := range s.bootUnits() {
		if unit != "keepalived.service" {
			names = append(names, unit)
		}
	}
	for _, unit := range s.scheduled() {
		names = append(names, unit+".service", unit+".timer")
	}
	slices.Sort(names)
	var list []file
	for _, name := range names {
		text, err := source(n, "systemd/"+name)
		if err != nil {
			return nil, err
		}
		f := file{path: unitFolder + "/" + name, text: text, mode: 0o644}
		for _, folder := range packaged {
			f.alternatives = append(f.alternatives, folder+"/"+name)
		}
		list = append(list, f)
	}
	return list, nil
}

// units returns the step that installs the units on a node.
func (s *Setup) units(n *node) step {
	return s.fileStep(n, "units", s.unitFiles, func(ctx context.Context) error {
		_, err := call(ctx, n, short, "systemctl", "daemon-reload")
		return err
	})
}

// cron returns the step that installs cron files on a node without systemd.
func (s *Setup) cron(n *node) step {
	return s.fileStep(n, "schedule", func(n *node) ([]file, error) {
		var list []file
		for program := range s.scheduled() {
			text, err := source(n, "cron/"+program)
			if err != nil {
				return nil, err
			}
			list = append(list, file{path: cronFolder + "/" + program, text: text, mode: 0o644})
		}
		slices.SortFunc(list, func(a, b file) int { return strings.Compare(a.path, b.path) })
		return list, nil
	}, func(context.Context) error { return nil })
}

// fileStep returns a step that writes files and then calls after.
func (s *Setup) fileStep(n *node, name string, list func(*node) ([]file, error), after func(context.Context) error) step {
	state := func(ctx context.Context) (fileState, error) {
		files, err := list(n)
		if err != nil {
			return fileState{}, err
		}
		return compare(ctx, n, files)
	}
	return step{
		name: name + " on " + n.name,
		check: func(ctx context.Context) (stepState, error) {
			st, err := state(ctx)
			return st.stepState(), err
		},
		do: func(ctx context.Context) error {
			st, err := state(ctx)
			if err != nil {
				return err
			}
			if err := st.apply(ctx, n); err != nil {
				return err
			}
			return after(ctx)
		},
	}
}

// enabled returns the step that enables units at boot and, with now, starts them.
func (s *Setup) enabled(n *node, name string, units []string, now bool) step {
	argv := []string{"systemctl", "enable"}
	if now {
		argv = append(argv, "--now")
	}
	argv = append(argv, units...)
	return step{
		name: name + " on " + n.name,
		check: func(ctx context.Context) (stepState, error) {
			f := stepState{done: true, summary: strings.Join(units, ", "), detail: quoted(argv)}
			for _, unit := range units {
				// One at a time: for several, systemctl succeeds if one is enabled.
				f.done = f.done && n.systemd(ctx, "is-enabled", unit) && (!now || n.systemd(ctx, "is-active", unit))
			}
			return f, ctx.Err()
		},
		do: func(ctx context.Context) error {
			_, err := call(ctx, n, medium, argv...)
			return err
		},
	}
}

// systemd reports whether a systemctl query succeeds. For missing units it does not.
func (n *node) systemd(ctx context.Context, verb, unit string) bool {
	_, err := n.Run(ctx, machine.Call{Argv: []string{"systemctl", "--quiet", verb, unit}, Timeout: short})
	return err == nil
}
