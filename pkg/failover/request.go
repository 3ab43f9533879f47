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

// WatchLock is held by the watcher, the resident process that answers requests
// at once. Where nobody holds it, a hook has to start a reconciler.
const WatchLock = "watch"

// reconcileLock is held by who changes this node's role.
const reconcileLock = "reconcile"

// recordTimeout bounds the wait for another hook that records its request.
const recordTimeout = 2 * time.Second

// RecordRequest records the request of this process. keepalived starts its hooks in the
// right order, but they run in any: what counts is when this process was
// started. keepalived's own requests come several times for one change, and the
// same request again is none then; a person's always is a new one.
func RecordRequest(ctx context.Context, dir *state.Dir, requested state.RequestedRole, reason string, now time.Time) (state.Request, error) {
	boot, err := state.BootID()
	if err != nil {
		return state.Request{}, err
	}
	started, err := startedAt(os.Getpid())
	if err != nil {
		return state.Request{}, err
	}
	source := state.SourceOperator
	if startedByKeepalived() {
		source = state.SourceKeepalived
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return dir.RecordRequest(ctx, state.Request{
		Requested: requested, Source: source, Reason: reason, Time: now,
		Boot: boot, Started: started, PID: os.Getpid(),
	}, source == state.SourceOperator)
}

// submitOnce records a request of this resident process, which is as new as this moment. The
// same request again is none.
func (n *Node) submitOnce(ctx context.Context, requested state.RequestedRole, source, reason string) error {
	return n.submit(ctx, requested, source, reason, false)
}

// submit is submitOnce; with again, the same request is a new one.
func (n *Node) submit(ctx context.Context, requested state.RequestedRole, source, reason string, again bool) error {
	now, err := ticks()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	_, err = n.State.RecordRequest(ctx, state.Request{
		Requested: requested, Source: source, Reason: reason, Time: n.Now(),
		Boot: n.Boot, Started: now, PID: os.Getpid(),
	}, again)
	return err
}

// request returns the newest request of this boot; found is false when there was
// none yet: what was asked for before says nothing about now.
func (n *Node) request() (request state.Request, found bool, err error) {
	request, found, err = n.State.Request()
	return request, found && request.Boot == n.Boot, err
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
