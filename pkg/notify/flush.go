package notify

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// watchLock is the lock of the watcher, which sends notices itself.
const watchLock = "watch"

// Flush ensures that notices are sent: by the watcher or, without one, by a short-lived
// process. Messages that can't be sent now stay queued.
func (s *Spool) Flush(ctx context.Context, runner run.Programs, dir *state.Dir, configFile string) error {
	if s == nil || dir.Held(watchLock) || !s.Pending() {
		return nil
	}
	return s.Deliver(ctx, runner, configFile)
}

// Deliver runs the sender as a process of its own: otherwise a hanging channel could not
// be stopped.
func (s *Spool) Deliver(ctx context.Context, runner run.Programs, configFile string) error {
	// A message takes as long as the slowest channel; a few more may be queued.
	limit := 3*s.cfg.Timeout + 5*time.Second
	argv := []string{program("failover-notify"), "--config", configFile, "deliver"}
	return runner.Run(ctx, run.Command{Argv: argv, Timeout: limit, Grace: time.Second})
}

// program returns the path of one of our programs: beside this program, or on PATH.
func program(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	beside := filepath.Join(filepath.Dir(self), name)
	if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
		return beside
	}
	return name
}
