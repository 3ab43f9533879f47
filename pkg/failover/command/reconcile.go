package command

import (
	"context"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/announce"
	"github.com/understudy-ha/understudy/pkg/failover/watch"
)

// newReconcile returns the command "reconcile".
func newReconcile(p *cli.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Make this node what was asked for last, and end",
		Long: `Make this node what was asked for last, and end. Nothing is done when it is that
already. Another one under way is waited for. A newer request that comes in the
meantime is followed too.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			return node.Reconcile(c.Context())
		},
	}
	cli.SetLogLevel(c, zerolog.InfoLevel)
	return c
}

// newWatch returns the command "watch".
func newWatch(p *cli.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "watch",
		Short: "Stay, act on every request at once, and put right what no hook tells",
		Long: `Stay, and act on every request as soon as it is recorded. Each second it looks
whether keepalived runs and where the virtual IP is: a keepalived that was
killed leaves the address behind, and a hook may be lost.

SIGTERM ends it in order. A change of the role that is under way then is gone on
with by the next one.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(c.Context())
			wait := announce.Attend(ctx, node.Records)
			err = watch.New(node).Watch(ctx)
			stop()
			wait()
			return err
		},
	}
	cli.SetLogLevel(c, zerolog.InfoLevel)
	return c
}
