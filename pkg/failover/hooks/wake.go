package hooks

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/self"
)

const (
	// unit is the watcher's.
	unit = "understudy.service"
	// systemdRuns is there while systemd is the init.
	systemdRuns = "/run/systemd/system"
	// startTimeout bounds asking systemd to start it.
	startTimeout = 2 * time.Second
)

// wake ensures that a process acts on the newest request, and names it. Where
// the watcher does not run, or is frozen, systemd starts it again: what keepalived's
// own unit has started would be killed with it. Elsewhere a process of its own does
// the task.
func wake(ctx context.Context, p *cli.Process, records *self.Records) (who string, err error) {
	watched, held := records.Watched()
	if watched {
		return "the watcher acts on it", nil
	}
	which, verb := "does not run", "start"
	if held {
		which, verb = "does not move", "restart"
	}
	if _, err := os.Stat(systemdRuns); err == nil {
		_, err := records.Runner.Output(ctx, startTimeout, "systemctl", verb, "--no-block", unit)
		if err == nil {
			return "the watcher " + which + "; " + unit + " is being " + verb + "ed and acts on it", nil
		}
		p.Log.Warn().Err(err).Msg(unit + " can't be " + verb + "ed")
	}
	pid, err := detach(p, records.Config)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("the watcher %s; process %d acts on it", which, pid), nil
}

// detach starts a reconciler that is no part of this session: it outlives this
// process, keepalived and a terminal. It has no folder that would keep a dataset
// from being unmounted.
func detach(p *cli.Process, cfg *config.Config) (pid int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find this program: %w", err)
	}
	file, err := filepath.Abs(cfg.File())
	if err != nil {
		return 0, fmt.Errorf("find the configuration: %w", err)
	}
	cmd := exec.Command(program, "reconcile", "--config", file)
	cmd.Args[0] = p.Name
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s reconcile: %w", p.Name, err)
	}
	pid = cmd.Process.Pid
	if err := cmd.Process.Release(); err != nil {
		return pid, fmt.Errorf("detach from process %d: %w", pid, err)
	}
	return pid, nil
}
