package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// runLimit is the time after which a run of zfs-replicate counts as hanging. No
// scenario needs a quarter of it.
const runLimit = 5 * time.Minute

// Running is a run of zfs-replicate in progress.
type Running struct {
	node   lab.Node
	done   chan struct{}
	result Outcome
	err    error
}

// StartRun starts "zfs-replicate run" on a node.
func StartRun(ctx context.Context, n lab.Node, args ...string) *Running {
	r := &Running{node: n, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		limited, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("zfs-replicate run has not ended after %s", runLimit))
		defer cancel()
		r.result, r.err = Replicate(limited, n, args...)
	}()
	return r
}

// Wait waits for the run's end. For a run that hangs, the error lists its
// processes.
func (r *Running) Wait() (Outcome, error) {
	<-r.done
	if r.err == nil || !errors.Is(r.err, context.DeadlineExceeded) && !strings.Contains(r.err.Error(), "has not ended") {
		return r.result, r.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	list, err := Processes(ctx, r.node)
	return r.result, errors.Join(r.err, err, fmt.Errorf("its processes on %s: %s", r.node.Name(), strings.Join(list, "; ")))
}

// AwaitBytes waits until the run of zfs-replicate on a node has read that many
// bytes, nearly all of them from "zfs send".
func AwaitBytes(ctx context.Context, n lab.Node, bytes int64) error {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	_, err := Shell(ctx, n, awaitBytes, fmt.Sprint(bytes))
	return err
}

const awaitBytes = `
for ((i = 0; i < 600; i++)); do
	if pid=$(pgrep -o -f '^zfs-replicate run'); then break; fi
	sleep 0.05
done
[ -n "$pid" ] || { echo "no run of zfs-replicate has started" >&2; exit 1; }
# By thread: the process's own count has that of its ended children too.
while [ -e "/proc/$pid" ]; do
	count=$(cat /proc/"$pid"/task/*/io 2>/dev/null | awk '/^rchar/ { sum += $2 } END { printf "%d", sum }') || true
	if [ "$count" -ge "$1" ]; then exit 0; fi
	sleep 0.02
done
echo "the run ended before it had read $1 bytes" >&2
exit 1
`

// Processes lists the processes of zfs-replicate and zfs on a node, and the ssh
// sessions that they opened; a node at rest has none.
func Processes(ctx context.Context, n lab.Node) ([]string, error) {
	text, err := Shell(ctx, n, `ps -eo pid=,stat=,etimes=,args= | grep -E '(^| )(/[^ ]*/)?(zfs-replicate|zfs) |ssh .*zfs-replicate' | grep -vE 'grep|bash -' || true`)
	if err != nil {
		return nil, fmt.Errorf("list the processes of %s: %w", n.Name(), err)
	}
	var list []string
	for line := range strings.Lines(text) {
		list = append(list, strings.TrimSpace(line))
	}
	return list, nil
}
