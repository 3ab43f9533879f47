package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/hooks"
	"github.com/understudy-ha/understudy/pkg/failover/move"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/run"
	setup "github.com/understudy-ha/understudy/pkg/setup/command"
)

// New returns failover-notify's root command.
func New(p *cli.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "failover-notify",
		Short: "Take over from the other server, hand over to it, and show the state of both",
		Long: `Take over from the other server, hand over to it, and show the state of both.

keepalived decides which node holds the virtual IP; its hooks record the requested
role. The watcher (failover-notify watch) applies it: it makes the datasets writable
and starts the services, or stops the services and releases the datasets. The newest
request wins.`,
	}
	c.AddCommand(
		newHold(p), newRelease(p), newSwitchover(p), newDrill(p), newResolve(p), newStatus(p), newDoctor(p), newHistory(p),
		newKeepalived(p), newTestNotification(p), setup.New(p), setup.NewNode(p), cli.ConfigCommand(p),
	)
	hooks.Add(c, p)
	cli.AddCalled(c,
		newReconcile(p), newWatch(p), newJoin(p), newFence(p), newDrain(p), newDeliver(p),
	)
	return c
}

// newNode loads the configuration and returns this node.
func newNode(ctx context.Context, p *cli.Process) (*failover.Node, error) {
	records, err := hooks.Records(ctx, p)
	if err != nil {
		return nil, err
	}
	return failover.New(records), nil
}

// newMover loads the configuration and returns the mover of the active role.
func newMover(ctx context.Context, p *cli.Process) (*move.Mover, error) {
	node, err := newNode(ctx, p)
	if err != nil {
		return nil, err
	}
	return move.New(node), nil
}

// assemble returns the node of a loaded configuration.
func assemble(p *cli.Process, cfg *config.Config, node config.Node) (*failover.Node, error) {
	records, err := self.Open(cfg, node, run.New(p.Log), p.Log)
	if err != nil {
		return nil, err
	}
	return failover.New(records), nil
}
