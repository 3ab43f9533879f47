package failover

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// WatchLock is held by the watcher, the resident process that answers intents
// at once. Where nobody holds it, a hook has to start a reconciler.
const WatchLock = "watch"

// reconcileLock is held by who changes this node's role.
const reconcileLock = "reconcile"

// recordTimeout bounds the wait for another hook that records its intent.
const recordTimeout = 2 * time.Second

// Ask records the wish of this process. keepalived starts its hooks in the
// right order, but they run in any: what counts is when this process was
// started. keepalived's own wishes come several times for one change, and the
// same wish again is none then; a person's always is a new one.
func Ask(ctx context.Context, dir *state.Dir, wish state.Wish, reason string, now time.Time) (state.Intent, error) {
	boot, err := BootID()
	if err != nil {
		return state.Intent{}, err
	}
	started, err := startedAt(os.Getpid())
	if err != nil {
		return state.Intent{}, err
	}
	source := state.SourceOperator
	if startedByKeepalived() {
		source = state.SourceKeepalived
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return dir.RecordIntent(ctx, state.Intent{
		Wish: wish, Source: source, Reason: reason, Time: now,
		Boot: boot, Started: started, PID: os.Getpid(),
	}, source == state.SourceOperator)
}

// ask records a wish of this resident process, which is as new as this moment. The
// same wish again is none.
func (n *Node) ask(ctx context.Context, wish state.Wish, source, reason string) error {
	return n.wishes(ctx, wish, source, reason, false)
}

// wishes is ask; with again, the same wish is a new one.
func (n *Node) wishes(ctx context.Context, wish state.Wish, source, reason string, again bool) error {
	now, err := ticks()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	_, err = n.State.RecordIntent(ctx, state.Intent{
		Wish: wish, Source: source, Reason: reason, Time: n.Now(),
		Boot: n.Boot, Started: now, PID: os.Getpid(),
	}, again)
	return err
}

// wish returns the newest intent of this boot; found is false when there was
// none yet: what was asked for before says nothing about now.
func (n *Node) wish() (intent state.Intent, found bool, err error) {
	intent, found, err = n.State.Intent()
	return intent, found && intent.Boot == n.Boot, err
}

// ticksPerSecond is USER_HZ, the unit of times in /proc, on all of Linux's
// architectures that Go knows.
const ticksPerSecond = 100

// startedAt is when a process was forked, in clock ticks since the boot: field
// 22 of proc_pid_stat(5).
func startedAt(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("find when process %d was started: %w", pid, err)
	}
	// The name, field 2, may hold spaces and brackets.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("find when process %d was started: /proc/%d/stat is too short", pid, pid)
	}
	started, err := strconv.ParseUint(fields[22-3], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("find when process %d was started: %w", pid, err)
	}
	return started, nil
}

// startedByKeepalived says whether this process's parent is keepalived, which
// starts its hooks without a shell, or init: keepalived is gone, or this is what
// its unit runs when it has ended.
func startedByKeepalived() bool {
	if os.Getppid() == 1 {
		return true
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid()))
	return err == nil && strings.HasPrefix(string(name), "keepalived")
}
