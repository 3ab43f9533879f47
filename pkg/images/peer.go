package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// manifestTime is how long a node may take to say what it runs.
	manifestTime = 30 * time.Second
)

// sshPeers asks the other nodes over ssh, through their gate.
type sshPeers struct {
	cfg    *config.Config
	runner run.Programs
}

func (p sshPeers) peers() remote.Peers { return remote.Peers{Programs: p.runner, SSH: p.cfg.SSH} }

// Manifest asks image-sync on the other node.
func (p sshPeers) Manifest(ctx context.Context, n config.Node) (Manifest, error) {
	var m Manifest
	err := p.peers().Reach(ctx, n)
	if err == nil {
		err = p.peers().JSON(ctx, n, manifestTime, &m, p.cfg.Images.RemoteCommand, "manifest", "-o", "json")
	}
	if err != nil {
		return m, fmt.Errorf("ask %s for its images: %w", n.Name, err)
	}
	return m, nil
}

// pipeSize is how many bytes wait between ssh and the engine at most.
const pipeSize = 1 << 20

// Export copies an image from the other node.
func (p sshPeers) Export(ctx context.Context, n config.Node, id string, read func(io.Reader) error) error {
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("copy image %s from %s: %w", short(id), n.Name, err)
	}
	defer out.Close()
	// The kernel's own size is a small one; that it can't be changed is fine.
	_, _ = unix.FcntlInt(in.Fd(), unix.F_SETPIPE_SZ, pipeSize)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	how := remote.Over(p.cfg.SSH, n)
	process, err := p.runner.Start(ctx, run.Command{Argv: how.Argv(p.cfg.Images.RemoteCommand, "export", id), Stdout: in})
	in.Close()
	if err != nil {
		return fmt.Errorf("copy image %s from %s: %w", short(id), n.Name, err)
	}
	readErr := read(out)
	if readErr != nil {
		cancel() // nobody reads any more
	}
	err = process.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		// What the reader met is a consequence.
		return fmt.Errorf("copy image %s from %s: %w", short(id), n.Name, how.Explain(p.cfg.Images.RemoteCommand, err))
	}
	if readErr != nil {
		return fmt.Errorf("copy image %s from %s: %w", short(id), n.Name, readErr)
	}
	return nil
}

// others are the nodes that may be asked: those with an engine of their own.
func (n *Node) others() []config.Node {
	var list []config.Node
	for _, other := range n.Config.Nodes {
		if other.Name != n.Self.Name && !other.Local {
			list = append(list, other)
		}
	}
	return list
}

// source is the node whose images this node follows.
type source struct {
	node     config.Node
	manifest Manifest
}

// active asks all other nodes at the same time which images they run, and
// returns the active one; nil when none is, with why.
func (n *Node) active(ctx context.Context) (*source, error) {
	others := n.others()
	answers, errs := make([]Manifest, len(others)), make([]error, len(others))
	var asked sync.WaitGroup
	for i, other := range others {
		asked.Go(func() { answers[i], errs[i] = n.Peers.Manifest(ctx, other) })
	}
	asked.Wait()
	var best *source
	for i, m := range answers {
		if errs[i] == nil && m.Role == state.RoleActive && (best == nil || m.Term > best.manifest.Term) {
			best = &source{others[i], m}
		}
	}
	if best != nil {
		return best, nil
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return nil, errors.New("no other node is active")
}

// from asks one node, whatever its role.
func (n *Node) from(ctx context.Context, name string) (*source, error) {
	for _, other := range n.others() {
		if other.Name == name {
			m, err := n.Peers.Manifest(ctx, other)
			if err != nil {
				return nil, err
			}
			return &source{other, m}, nil
		}
	}
	return nil, &Refusal{What: fmt.Sprintf("%q is none of the other nodes", name), Advice: "give the name of another node, as under nodes: in the configuration"}
}
