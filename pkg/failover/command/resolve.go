package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
)

type resolveOptions struct {
	keep          string
	giveWay, stay bool // requests of the other node
}

// newResolve returns the command "resolve".
func newResolve(p *cli.Process) *cobra.Command {
	var o resolveOptions
	c := &cobra.Command{
		Use:   "resolve --keep NODE",
		Short: "End a conflict: one node stays active, the other becomes its standby",
		Long: `End a conflict, in which both nodes wrote. NODE stays active, or becomes active.
The other node stops its services, preserves its unreplicated changes as read-only
datasets (zfs-replicate rejoin), and becomes a standby. Run it on either node; both
must be up. You can interrupt and repeat it.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runResolve(c.Context(), p, o) },
	}
	c.Flags().StringVar(&o.keep, "keep", "", "the `node` that stays active")
	c.Flags().BoolVar(&o.giveWay, "give-way", false, "step down for the only other node (other nodes call this)")
	c.Flags().BoolVar(&o.stay, "stay", false, "stay active (other nodes call this)")
	for _, name := range []string{"give-way", "stay"} {
		c.Flags().Lookup(name).Hidden = true
	}
	return c
}

func runResolve(ctx context.Context, p *cli.Process, o resolveOptions) error {
	if (o.keep != "") == (o.giveWay || o.stay) || o.giveWay && o.stay {
		return cli.Usagef("resolve: name the node that stays active: --keep NODE")
	}
	n, err := newMover(ctx, p)
	if err != nil {
		return err
	}
	if o.stay {
		return n.Stay(ctx)
	}
	if err := n.Resolve(ctx, o.keep); err != nil {
		return err
	}
	where := "on this node"
	if o.keep == n.Self.Name {
		where = "on the other node"
	}
	_, err = fmt.Fprintf(p.Stdout, "resolved: %s is active\nunreplicated changes are preserved %s: zfs-replicate kept list\n", o.keep, where)
	return cli.Printed(err)
}
