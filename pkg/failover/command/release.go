package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
)

// newRelease returns the command "release".
func newRelease(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "release",
		Short: "Put this node back into service after a hold or a failed promotion",
		Long: `Put this node back into service. release lifts the reasons against eligibility
that the operator may lift: a hold, a failed promotion, a conflict that is over, or
a wait. While no other node is active, it also accepts a stale replica.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runRelease(c.Context(), p) },
	}
}

func runRelease(ctx context.Context, p *cli.Process) error {
	node, err := newNode(ctx, p)
	if err != nil {
		return err
	}
	released, err := node.Release(ctx)
	if err != nil {
		return err
	}
	text := ""
	for _, r := range released.Lifted {
		text += fmt.Sprintf("lifted: %s\n", r.Text)
	}
	for _, r := range released.Left {
		text += fmt.Sprintf("remains: %s\n", r.Text)
	}
	if len(released.Left) > 0 {
		text += fmt.Sprintf("%s may not hold the virtual IP: %s\n", node.Self.Name, rules.Words(released.Left))
	} else {
		text += fmt.Sprintf("%s may hold the virtual IP\n", node.Self.Name)
	}
	_, err = fmt.Fprint(p.Stdout, text)
	return cli.Printed(err)
}
