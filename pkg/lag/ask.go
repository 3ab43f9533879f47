package lag

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
)

// dialTimeout is how long a node may take to accept a connection before it
// counts as down. ssh alone would take much longer to say so.
const dialTimeout = time.Second

// Peers are the other nodes.
type Peers interface {
	// Ask gets a node's inventory, and how far its clock is ahead of ours.
	Ask(ctx context.Context, node config.Node) (*Inventory, time.Duration, error)
}

// VersionError is a lag-check of another version on the other node.
type VersionError struct {
	Node   string
	Format int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s: its lag-check says inventory format %d, this one knows %d", e.Node, e.Format, format)
}

// Hint says how to mend it.
func (e *VersionError) Hint() string { return "install the same release of understudy on both nodes" }

// SSHPeers asks over ssh, with one connection a node.
type SSHPeers struct {
	Config *config.Config
	Runner run.Programs
	Now    func() time.Time
}

// Ask asks lag-check on the other node.
func (p SSHPeers) Ask(ctx context.Context, node config.Node) (*Inventory, time.Duration, error) {
	ssh, command := p.Config.SSH, p.Config.Lag.RemoteCommand
	ctx, cancel := context.WithTimeout(ctx, p.Config.Lag.Timeout)
	defer cancel()
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(node.Address, strconv.Itoa(ssh.Port)))
	if err != nil {
		return nil, 0, fmt.Errorf("%s can't be reached: %w", node.Name, err)
	}
	conn.Close()
	how := run.SSH{User: ssh.User, Host: node.Address, Port: ssh.Port, IdentityFile: ssh.IdentityFile,
		KnownHostsFile: ssh.KnownHostsFile, ConnectTimeout: ssh.ConnectTimeout, Options: ssh.Options}
	output := &stamped{now: p.Now}
	err = p.Runner.Run(ctx, run.Command{Argv: how.Argv(command, "inventory", "-o", "json"), Stdout: output, Grace: time.Second})
	if err != nil {
		if failed, ok := errors.AsType[*run.Error](err); ok {
			if errors.Is(failed.Cause, context.DeadlineExceeded) {
				return nil, 0, fmt.Errorf("ask %s: no answer within %s", node.Name, p.Config.Lag.Timeout)
			}
			if explained := how.Explain(failed.Stderr, command, err); explained != nil {
				err = explained
			}
		}
		return nil, 0, fmt.Errorf("ask %s: %w", node.Name, err)
	}
	var inventory Inventory
	if err := json.Unmarshal(output.text.Bytes(), &inventory); err != nil {
		return nil, 0, fmt.Errorf("ask %s: read the answer of %s: %w", node.Name, command, err)
	}
	if inventory.Format != format {
		return nil, 0, &VersionError{node.Name, inventory.Format}
	}
	return &inventory, inventory.Time.Sub(output.first), nil
}

// stamped notes when the first byte came. The other node looks at its clock
// just before it sends that, so that only the way of one packet lies between.
type stamped struct {
	text  bytes.Buffer // not embedded: it would be read into past Write
	now   func() time.Time
	first time.Time
}

func (s *stamped) Write(p []byte) (int, error) {
	if s.first.IsZero() {
		s.first = s.now()
	}
	return s.text.Write(p)
}
