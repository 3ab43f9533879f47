package failover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// beatName is what the watcher writes each time it has looked around. A watcher
// that is frozen, or waits for a disk without end, still has its lock.
const beatName = "beat"

// beatSilence is how old the beat may be before people are told, and before a hook
// no longer relies on the watcher.
const beatSilence = 10 * time.Second

// beat is when the watcher has looked around last.
type beat struct {
	Boot string `json:"boot"`
	// At is in nanoseconds since the boot.
	At time.Duration `json:"at"`
}

// beats says that the watcher has looked around: in a file, and to systemd, which
// kills one that does not.
func (n *Node) beats(ctx context.Context) error {
	dir, err := state.Open(n.Config.RunDir)
	if err != nil {
		return err
	}
	now, err := clock.System().SinceBoot()
	if err != nil {
		return err
	}
	return errors.Join(dir.Write(beatName, beat{n.Boot, now}), tellSystemd(ctx, "WATCHDOG=1"))
}

// silentFor is how long ago the watcher has looked around last; 0 when it has not
// done so in this boot, or that can't be told.
func silentFor(runDir, boot string) time.Duration {
	dir, err := state.Open(runDir)
	if err != nil {
		return 0
	}
	var last beat
	if found, err := dir.Read(beatName, &last); err != nil || !found || last.Boot != boot {
		return 0
	}
	now, err := clock.System().SinceBoot()
	if err != nil {
		return 0
	}
	return now - last.At
}

// watcherAlert tells of a watcher that does not run, or does not move.
func (n *Node) watcherAlert(add func(string, ...any)) {
	switch {
	case !n.State.Held(WatchLock):
		add("the watcher does not run, so nobody notices what keepalived's hooks don't tell: systemctl start understudy")
	case silentFor(n.Config.RunDir, n.Boot) >= beatSilence:
		// Without the age, which would make it another alert each second.
		add("the watcher has not moved for %s or more, so nobody notices what keepalived's hooks don't tell: systemctl restart understudy", report.Duration(beatSilence))
	}
}

// Watched says whether somebody acts on an request at once. Held says whether a
// watcher is there at all: it may be frozen.
func Watched(cfg *config.Config, dir *state.Dir) (watched, held bool) {
	boot, err := state.BootID()
	if err != nil {
		boot = "" // no beat is of this one: the lock alone counts
	}
	return watchedIn(boot, cfg, dir)
}

// watchedIn is Watched in a boot.
func watchedIn(boot string, cfg *config.Config, dir *state.Dir) (watched, held bool) {
	held = dir.Held(WatchLock)
	return held && silentFor(cfg.RunDir, boot) < beatSilence, held
}

// tellSystemd tells systemd what the watcher is, by sd_notify(3): a datagram to
// the socket that the environment names. It does nothing where there is none.
func tellSystemd(ctx context.Context, what string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:] // the kernel's own names for sockets without a file
	}
	ctx, cancel := context.WithTimeout(ctx, lookEach)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", path)
	if err != nil {
		return fmt.Errorf("tell systemd %s: %w", what, err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("tell systemd %s: %w", what, err)
	}
	if _, err := conn.Write([]byte(what)); err != nil {
		return fmt.Errorf("tell systemd %s: %w", what, err)
	}
	return nil
}
