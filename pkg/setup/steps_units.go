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

// packaged are the folders in which a package, or make install, puts units.
var packaged = []string{"/usr/lib/systemd/system", "/lib/systemd/system", "/usr/local/lib/systemd/system"}

// booted are the units that take part in each boot.
func (s *Setup) booted() []string {
	list := []string{"understudy-fence.service", "understudy-join.service", "understudy.service", "keepalived.service"}
	if len(s.cfg.Replication.Datasets) == 0 {
		list = list[1:]
	}
	return list
}

// programs are those that are started regularly, with their units.
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

// source is a file of the project as it is wanted on a node: its programs may
// lie elsewhere.
func source(n *node, name string) (string, error) {
	text, err := fs.ReadFile(packaging.Files, name)
	if err != nil {
		return "", fmt.Errorf("read %s of this program: %w", name, err)
	}
	out := string(text)
	for _, program := range []string{"failover-notify", "zfs-replicate", "image-sync", "lag-check", "track-traefik"} {
		out = strings.ReplaceAll(out, usualPrograms+"/"+program, path.Join(n.Folder, program))
	}
	return out, nil
}

// unitFiles are the units and the drop-in for keepalived.
func (s *Setup) unitFiles(n *node) ([]file, error) {
	names := []string{"keepalived.service.d/understudy.conf"}
	for _, unit := range s.booted() {
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
			f.instead = append(f.instead, folder+"/"+name)
		}
		list = append(list, f)
	}
	return list, nil
}

// units is the step that puts the units onto a node.
func (s *Setup) units(n *node) step {
	return s.listed(n, "units", s.unitFiles, func(ctx context.Context) error {
		_, err := call(ctx, n, short, "systemctl", "daemon-reload")
		return err
	})
}

// cron is the step that puts cron's files onto a node without systemd.
func (s *Setup) cron(n *node) step {
	return s.listed(n, "schedule", func(n *node) ([]file, error) {
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

// listed is a step that writes files and does something once they are there.
func (s *Setup) listed(n *node, name string, list func(*node) ([]file, error), after func(context.Context) error) step {
	look := func(ctx context.Context) (standing, error) {
		files, err := list(n)
		if err != nil {
			return standing{}, err
		}
		return compare(ctx, n, files)
	}
	return step{
		name: name + " on " + n.name,
		look: func(ctx context.Context) (found, error) {
			st, err := look(ctx)
			return st.found(), err
		},
		do: func(ctx context.Context) error {
			st, err := look(ctx)
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

// enabled is the step that has systemd start units at each boot; with now, at
// once, too.
func (s *Setup) enabled(n *node, name string, units []string, now bool) step {
	argv := []string{"systemctl", "enable"}
	if now {
		argv = append(argv, "--now")
	}
	argv = append(argv, units...)
	return step{
		name: name + " on " + n.name,
		look: func(ctx context.Context) (found, error) {
			f := found{done: true, says: strings.Join(units, ", "), detail: shown(argv)}
			for _, unit := range units {
				// One at a time: of several, one is enough for it to say yes.
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

// systemd asks for something that systemctl answers by its exit code, also of
// units that are not there.
func (n *node) systemd(ctx context.Context, verb, unit string) bool {
	_, err := n.Run(ctx, machine.Call{Argv: []string{"systemctl", "--quiet", verb, unit}, Timeout: short})
	return err == nil
}
