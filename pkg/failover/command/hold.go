package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
)

// newHold returns the command "hold".
func newHold(p *cli.Process) *cobra.Command {
	reason, force := "", false
	c := &cobra.Command{
		Use:   "hold",
		Short: "Keep this node from holding the virtual IP until release",
		Long: `Keep this node from holding the virtual IP until "failover-notify release",
for example while disks are changed. On the active node it would move the
services and is refused unless --force is given.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			if err := node.Hold(c.Context(), reason, force); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.Stdout, "%s is held and may not hold the virtual IP; to end that: failover-notify release\n", node.Self.Name)
			return cli.Printed(err)
		},
	}
	c.Flags().StringVar(&reason, "reason", "by hand", "why, in a few `words`")
	c.Flags().BoolVar(&force, "force", false, "also on the active node: the services move")
	return c
}

// newRelease returns the command "release".
func newRelease(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "release",
		Short: "Lift a hold, a failed promotion and the like",
		Long: `Lift what keeps this node from holding the virtual IP, as far as a person's
word is enough: a hold, a promotion that failed, a conflict that is over, a wait
and, while no other node is active, an old replica.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			released, err := node.Release(c.Context())
			if err != nil {
				return err
			}
			text := ""
			for _, r := range released.Lifted {
				text += fmt.Sprintf("lifted: %s\n", r.Text)
			}
			for _, r := range released.Left {
				text += fmt.Sprintf("stays: %s\n", r.Text)
			}
			if len(released.Left) > 0 {
				text += fmt.Sprintf("%s may not hold the virtual IP: %s\n", node.Self.Name, rules.Words(released.Left))
			} else {
				text += fmt.Sprintf("%s may hold the virtual IP\n", node.Self.Name)
			}
			_, err = fmt.Fprint(p.Stdout, text)
			return cli.Printed(err)
		},
	}
}
