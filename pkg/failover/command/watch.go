package command

import (
	"context"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/announce"
	"github.com/understudy-ha/understudy/pkg/failover/watch"
)

// newWatch returns the command "watch".
func newWatch(p *cli.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "watch",
		Short: "Run the watcher: apply requested roles and correct what hooks miss",
		Long: `Run the watcher. It applies each request as soon as a hook records it. Every second
it checks whether keepalived runs and which node holds the virtual IP: a killed
keepalived leaves the address behind, and a hook can be lost.

SIGTERM stops the watcher. The next watcher resumes a role change in progress.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runWatch(c.Context(), p) },
	}
	cli.SetLogLevel(c, zerolog.InfoLevel)
	return c
}

func runWatch(ctx context.Context, p *cli.Process) error {
	node, err := newNode(ctx, p)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	wait := announce.Attend(ctx, node.Records)
	err = watch.New(node).Watch(ctx)
	stop()
	wait()
	return err
}
