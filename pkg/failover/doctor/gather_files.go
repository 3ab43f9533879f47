package doctor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// scheduled holds the files in which cron and systemd schedule programs.
var scheduled = []string{
	"etc/crontab", "etc/cron.d/*", "var/spool/cron/crontabs/*", "var/spool/cron/root",
	"etc/systemd/system/*.service", "usr/lib/systemd/system/*.service", "lib/systemd/system/*.service",
}

// booted holds the units that a failover needs after a reboot.
var booted = []string{"understudy-fence", "understudy-join", "understudy", "keepalived"}

// schedule returns what cron and systemd start.
func (d *Doctor) schedule(context.Context) (Schedule, error) {
	var s Schedule
	for _, pattern := range scheduled {
		files, err := filepath.Glob(filepath.Join(d.Root, pattern))
		if err != nil {
			return s, fmt.Errorf("find cron files: %w", err)
		}
		for _, file := range files {
			// cron ignores files whose names contain a dot.
			if strings.Contains(pattern, "cron.d") && strings.Contains(filepath.Base(file), ".") {
				continue
			}
			if text, err := os.ReadFile(file); err == nil && starts(text, "zfs-replicate run") && d.timed(file) {
				s.Replication = append(s.Replication, file)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(d.Root, "run/systemd/system")); err != nil {
		return s, nil
	}
	s.Systemd = true
	for _, unit := range booted {
		if unit == "keepalived" && !d.Node.Address.Configured() || unit == "understudy-fence" && !d.Node.Data.Configured() {
			continue
		}
		wanted, err := filepath.Glob(filepath.Join(d.Root, "etc/systemd/system/*.wants", unit+".service"))
		if err != nil {
			return s, fmt.Errorf("find systemd units: %w", err)
		}
		if len(wanted) == 0 {
			s.Disabled = append(s.Disabled, unit)
		}
	}
	if d.Node.Address.Configured() {
		var err error
		if s.NoDrain, err = d.noDrain(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// noDrain reports whether keepalived's unit lacks a drain before it stops.
func (d *Doctor) noDrain() (bool, error) {
	for _, folder := range []string{"etc", "run", "usr/local/lib", "usr/lib", "lib"} {
		for _, pattern := range []string{"keepalived.service", "keepalived.service.d/*.conf"} {
			files, err := filepath.Glob(filepath.Join(d.Root, folder, "systemd/system", pattern))
			if err != nil {
				return false, fmt.Errorf("find keepalived's unit: %w", err)
			}
			for _, file := range files {
				if text, err := os.ReadFile(file); err == nil && starts(text, "failover-notify drain") {
					return false, nil
				}
			}
		}
	}
	return true, nil
}

// starts reports whether a line that is not a comment contains the command.
func starts(text []byte, command string) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); !bytes.HasPrefix(line, []byte("#")) && bytes.Contains(line, []byte(command)) {
			return true
		}
	}
	return false
}

// timed reports whether a file belongs to cron, or is a unit with an enabled timer.
func (d *Doctor) timed(file string) bool {
	unit, service := strings.CutSuffix(filepath.Base(file), ".service")
	if !service {
		return true
	}
	wanted, err := filepath.Glob(filepath.Join(d.Root, "etc/systemd/system/*.wants", unit+".timer"))
	return err == nil && len(wanted) > 0
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
