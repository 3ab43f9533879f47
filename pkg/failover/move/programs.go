package move

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
)

// send runs zfs-replicate to one node.
func (m *Mover) send(ctx context.Context, to string, timeout time.Duration) error {
	argv := []string{"zfs-replicate", "run", "--to", to}
	if file := m.Config.File(); file != "" {
		argv = append(argv, "--config", file)
	}
	return m.patiently(ctx, timeout, argv)
}

// patiently runs zfs-replicate. It waits for a run in progress, such as that of cron.
func (m *Mover) patiently(ctx context.Context, timeout time.Duration, argv []string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		_, err := m.Runner.Output(ctx, timeout, argv...)
		failed, ok := errors.AsType[*run.Error](err)
		if !ok || failed.ExitCode != exit.Locked {
			return said(err)
		}
		if clock.Pause(ctx, failover.PollPeer) != nil {
			return said(err)
		}
	}
}

// rejoin preserves the unreplicated changes of this node, and rolls back to the newest
// common snapshot.
func (m *Mover) rejoin(ctx context.Context, from string) error {
	argv := []string{"zfs-replicate", "rejoin", "--yes", "--from", from}
	if file := m.Config.File(); file != "" {
		argv = append(argv, "--config", file)
	}
	return m.patiently(ctx, resolveTimeout, argv)
}

// remote runs failover-notify on another node.
func (m *Mover) remote(ctx context.Context, peer config.Node, timeout time.Duration, args ...string) error {
	peers := remote.Peers{Programs: m.Runner, SSH: m.Config.SSH}
	_, err := peers.Output(ctx, peer, timeout, append([]string{m.Config.Failover.RemoteCommand}, args...)...)
	if err != nil {
		return fmt.Errorf("resolve on %s: %w", peer.Name, err)
	}
	return nil
}

// said returns a failure of one of our own programs in its own words. Its exit
// code counts where it has refused; any other is a failure of this program too.
func said(err error) error {
	said, ok := errors.AsType[*remote.Error](remote.SaidIn(err))
	if !ok {
		return err
	}
	if said.Code != exit.Refused {
		said.Code = exit.Failed
	}
	return said
}
