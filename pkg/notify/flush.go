package notify

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// watchLock is the lock that failover-notify watch holds. It looks after the
// spool itself.
const watchLock = "watch"

// Flush ensures that notices are sent: by the resident watcher, or where
// none runs by a process that ends before long. What can't be sent now stays.
func (s *Spool) Flush(ctx context.Context, runner run.Programs, dir *state.Dir, configFile string) error {
	if s == nil || dir.Held(watchLock) || !s.Pending() {
		return nil
	}
	return s.Deliver(ctx, runner, configFile)
}

// Deliver runs the sender as a process of its own: a channel that hangs can't be
// ended otherwise.
func (s *Spool) Deliver(ctx context.Context, runner run.Programs, configFile string) error {
	// A message to each channel takes as long as the slowest; a few more may
	// be waiting.
	limit := 3*s.cfg.Timeout + 5*time.Second
	argv := []string{program("failover-notify"), "--config", configFile, "deliver"}
	return runner.Run(ctx, run.Command{Argv: argv, Timeout: limit, Grace: time.Second})
}

// program returns one of our programs: beside this program, else on PATH.
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
