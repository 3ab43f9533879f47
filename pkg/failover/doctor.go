package failover

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
)

// AskFor runs failover-notify with args on another node, within timeout, and
// decodes what it prints there as JSON.
func (n *Node) AskFor(ctx context.Context, peer config.Node, timeout time.Duration, answer any, args ...string) error {
	cfg := *n.Config
	cfg.Failover.PeerTimeout = timeout
	return sshPeers{&cfg, n.Runner}.ask(ctx, peer, answer, args...)
}
