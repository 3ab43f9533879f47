package command

import (
	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/replicate"
)

func newPlan(p *cli.Process) *cobra.Command {
	f := runFlags{Options: replicate.Options{DryRun: true}}
	c := &cobra.Command{
		Use:   "plan",
		Short: "Print the steps of the next run and the reasons; change nothing",
		Long: `Print the steps of the next run on each standby and the reasons, dataset by dataset.
It lists the datasets of both sides and changes nothing on either.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, p) },
	}
	f.addTo(c, p)
	return c
}
