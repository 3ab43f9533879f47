package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/remote"
)

// tryPortAfter is how long ssh may take before its port is probed: a probe finds out
// sooner than ssh that a machine is off.
//
// A node that has answered within answersFor gets patience instead, since it is asked
// over and over. sshd counts connections without a login as an attack. With more than
// one a second it locks out this node for a while (PerSourcePenalties, from OpenSSH
// 9.8 on).
const tryPortAfter, patience, answersFor = 500 * time.Millisecond, time.Second, 10 * time.Second

// sshPeers asks over ssh.
type sshPeers struct {
	cfg *config.Config
	ssh remote.Peers
	now func() time.Time
	// newest returns the newest term that this node has heard of.
	newest func() uint64

	mu       sync.Mutex
	answered map[string]time.Time // when a node last answered
}

func newSSHPeers(n *Node) *sshPeers {
	return &sshPeers{cfg: n.Config, ssh: remote.Peers{Programs: n.Runner, SSH: n.Config.SSH}, now: n.Now, newest: n.NewestTerm, answered: map[string]time.Time{}}
}

// lately reports whether a node has answered a moment ago.
func (p *sshPeers) lately(node string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now().Sub(p.answered[node]) < answersFor
}

func (p *sshPeers) note(node string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered[node] = at
}

// Ask asks failover-notify on the other node.
func (p *sshPeers) Ask(ctx context.Context, peer config.Node) (rules.PeerState, error) {
	var answer rules.PeerState
	plain := []string{"peer", "-o", "json"}
	if newest := p.newest(); newest > 0 {
		args := append(slices.Clone(plain), "--newest-term", strconv.FormatUint(newest, 10))
		err := p.ask(ctx, peer, p.cfg.Failover.PeerTimeout, &answer, args...)
		if !unknownThere(err) {
			return answer, err
		}
	}
	err := p.ask(ctx, peer, p.cfg.Failover.PeerTimeout, &answer, plain...)
	return answer, err
}

// unknownThere reports whether the other node, or its gate, does not know the
// question: it runs an older release. A takeover passes over a node that is up and
// does not answer, though it may still write.
func unknownThere(err error) bool {
	said, ok := errors.AsType[*remote.Error](err)
	return ok && said.Unknown()
}

// Status asks for the status of a node, which first asks ZFS and the engine there.
func (p *sshPeers) Status(ctx context.Context, peer config.Node) (Status, error) {
	var s Status
	err := p.ask(ctx, peer, p.cfg.Failover.PeerTimeout+StatusTimeout, &s, "status", "--local", "-o", "json")
	return s, err
}

// AskFor runs failover-notify with args on another node, within timeout, and decodes
// the JSON that it prints.
func (n *Node) AskFor(ctx context.Context, peer config.Node, timeout time.Duration, answer any, args ...string) error {
	return newSSHPeers(n).ask(ctx, peer, timeout, answer, args...)
}

// ask runs failover-notify on the other node and decodes its answer.
func (p *sshPeers) ask(ctx context.Context, peer config.Node, timeout time.Duration, answer any, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ctx, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	wait := tryPortAfter
	if p.lately(peer.Name) {
		wait = patience
	}
	late := time.AfterFunc(wait, func() {
		if err := p.ssh.Reach(ctx, peer); err != nil {
			gone(err)
		}
	})
	defer late.Stop()
	command := p.cfg.Failover.RemoteCommand
	output, err := p.ssh.Output(ctx, peer, timeout, append([]string{command}, args...)...)
	if err != nil {
		p.note(peer.Name, time.Time{})
		if down, ok := errors.AsType[*remote.UnreachableError](context.Cause(ctx)); ok {
			return down
		}
		// The machine may be off, or has gone off since its last answer: that is no
		// failure of the program.
		if remote.Unanswered(err) {
			if down := p.ssh.Reach(context.WithoutCancel(ctx), peer); down != nil {
				return down
			}
		}
		return fmt.Errorf("ask %s: %w", peer.Name, err)
	}
	p.note(peer.Name, p.now())
	if err := remote.Decode(output, command, answer); err != nil {
		return fmt.Errorf("ask %s: %w", peer.Name, err)
	}
	return nil
}
