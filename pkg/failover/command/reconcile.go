package command

import (
	"context"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
)

// newReconcile returns the command "reconcile".
func newReconcile(p *cli.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Apply the requested role once, and exit",
		Long: `Apply the requested role once, and exit. reconcile does nothing if the node already
has that role. It waits for another process that applies a request, and follows a
newer request that arrives meanwhile.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runReconcile(c.Context(), p) },
	}
	cli.SetLogLevel(c, zerolog.InfoLevel)
	return c
}

func runReconcile(ctx context.Context, p *cli.Process) error {
	node, err := newNode(ctx, p)
	if err != nil {
		return err
	}
	return node.Reconcile(ctx)
}
