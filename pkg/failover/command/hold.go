package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
)

type holdOptions struct {
	reason string
	force  bool
}

// newHold returns the command "hold".
func newHold(p *cli.Process) *cobra.Command {
	var o holdOptions
	c := &cobra.Command{
		Use:   "hold",
		Short: "Take this node out of service until release",
		Long: `Take this node out of service: it may not hold the virtual IP until
"failover-notify release", for example while you replace disks. On the active node
that would move the services, so it needs --force.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runHold(c.Context(), p, o) },
	}
	c.Flags().StringVar(&o.reason, "reason", "by hand", "why, in a few `words`")
	c.Flags().BoolVar(&o.force, "force", false, "hold the active node too: the services move")
	return c
}

func runHold(ctx context.Context, p *cli.Process, o holdOptions) error {
	node, err := newNode(ctx, p)
	if err != nil {
		return err
	}
	if err := node.Hold(ctx, o.reason, o.force); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, "%s is held and may not hold the virtual IP; to end the hold:\n  failover-notify release\n", node.Self.Name)
	return cli.Printed(err)
}
