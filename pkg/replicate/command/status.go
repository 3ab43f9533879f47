package command

import (
	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/report"
)

func newStatus(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how far each dataset is replicated, and the data at risk",
		Long: `Show, for each dataset and standby, the newest common snapshot, the data at risk and
the result of the last run. Data at risk is written since that snapshot, and lost
if this node fails now. status asks no other node.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			engine, err := newEngine(c.Context(), p, nil)
			if err != nil {
				return err
			}
			status, err := engine.Status(c.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return cli.Printed(report.JSON(p.Stdout, status))
			}
			return cli.Printed(writeStatus(p.Stdout, status))
		},
	}
	out.AddTo(c)
	return c
}
