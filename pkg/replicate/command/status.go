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
		Short: "Show how far each dataset is replicated and what would be lost now",
		Long: `Show, for each dataset and standby, the newest common snapshot, what was written
since (it would be lost if this node died now), and how the last run ended. It
asks no other node.`,
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
