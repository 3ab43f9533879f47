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

// New is failover-notify's root command.
func New(p *cli.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "failover-notify",
		Short: "Make this node what keepalived asks it to be, and say what it is",
		Long: `Make this node what keepalived asks it to be, and say what it is.

keepalived's hooks only record what is asked for and return. The resident watcher
(failover-notify watch) acts on it: it takes the data over and starts the
services, or stops them and gives the data up. The newest request always wins.`,
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

// newNode loads the configuration and puts this node together.
func newNode(ctx context.Context, p *cli.Process) (*failover.Node, error) {
	records, err := hooks.Records(ctx, p)
	if err != nil {
		return nil, err
	}
	return failover.New(records), nil
}

// newMover loads the configuration and puts together what moves the active role.
func newMover(ctx context.Context, p *cli.Process) (*move.Mover, error) {
	node, err := newNode(ctx, p)
	if err != nil {
		return nil, err
	}
	return move.New(node), nil
}

// assemble puts a node together.
func assemble(p *cli.Process, cfg *config.Config, node config.Node) (*failover.Node, error) {
	records, err := self.Open(cfg, node, run.New(p.Log), p.Log)
	if err != nil {
		return nil, err
	}
	return failover.New(records), nil
}
