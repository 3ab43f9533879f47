package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
)

// newResolve returns the command "resolve".
func newResolve(p *cli.Process) *cobra.Command {
	keep, giveWay, stay := "", false, false
	c := &cobra.Command{
		Use:   "resolve --keep NODE",
		Short: "End a conflict: one node goes on, the other gives way and keeps what it has",
		Long: `End a conflict, in which both nodes have written. NODE stays active, or becomes
it; the other one stops its services, keeps all that only it has as read-only
datasets (zfs-replicate rejoin), and is a standby. Run it on either node; both must
be up. It can be killed, and called again.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if (keep != "") == (giveWay || stay) || giveWay && stay {
				return cli.Usagef("resolve: name the node whose data goes on: --keep NODE")
			}
			n, err := newMover(c.Context(), p)
			if err != nil {
				return err
			}
			if stay {
				return n.Stay(c.Context())
			}
			if err := n.Resolve(c.Context(), keep); err != nil {
				return err
			}
			kept := "this node had is kept here"
			if keep == n.Self.Name {
				kept = "the other node had is kept there"
			}
			_, err = fmt.Fprintf(p.Stdout, "resolved: %s goes on\nwhat only %s: zfs-replicate kept list\n", keep, kept)
			return cli.Printed(err)
		},
	}
	c.Flags().StringVar(&keep, "keep", "", "the `node` whose data goes on")
	c.Flags().BoolVar(&giveWay, "give-way", false, "this node gives way to the only other one (other nodes ask so)")
	c.Flags().BoolVar(&stay, "stay", false, "this node is the one that goes on (other nodes ask so)")
	for _, name := range []string{"give-way", "stay"} {
		c.Flags().Lookup(name).Hidden = true
	}
	return c
}
