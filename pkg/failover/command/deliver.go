package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/notify/deliver"
	"github.com/understudy-ha/understudy/pkg/state"
)

// newDeliver returns the command "deliver".
func newDeliver(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "deliver",
		Short: "Send the queued notifications, and exit",
		Long: `Send the queued notifications, and exit. failover-notify watch runs deliver when
notifications are queued; without a watcher, the scheduled programs do. A
notification that a channel does not accept stays queued.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDeliver(c.Context(), p) },
	}
}

func runDeliver(ctx context.Context, p *cli.Process) error {
	node, d, err := newDeliverer(ctx, p)
	if err != nil {
		return err
	}
	_, err = d.Pass(ctx, notify.Open(node.Config, node.State), node.State)
	if _, busy := errors.AsType[*state.LockedError](err); busy {
		return nil // the other process sends these too
	}
	return err
}

// newDeliverer loads the configuration and opens the channels.
func newDeliverer(ctx context.Context, p *cli.Process) (*failover.Node, *deliver.Deliverer, error) {
	node, err := newNode(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if node.Config.Notify.URLsFile == "" {
		return nil, nil, cli.Usagef("no notification channels: notify.urls_file is not set in %s", node.Config.File())
	}
	d, err := deliver.New(node.Config, p.Log, p.Now)
	return node, d, err
}
