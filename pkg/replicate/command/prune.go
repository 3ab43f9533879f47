package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/report"
)

func newPrune(p *cli.Process) *cobra.Command {
	var out cli.Output
	var dryRun bool
	c := &cobra.Command{
		Use:   "prune",
		Short: "Destroy expired snapshots on this node",
		Long: `Apply the retention (replication.keep) to the snapshots on this node, as run does.

Only snapshots named by replication.prefix count. It never destroys the newest
snapshot of a dataset, the newest one that a standby has too, and snapshots with
a hold or a clone.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			engine, err := newEngine(c.Context(), p, nil)
			if err != nil {
				return err
			}
			pruned, err := engine.Prune(c.Context(), dryRun)
			if err != nil {
				return err
			}
			if out.JSON() {
				err = cli.Printed(report.JSON(p.Stdout, pruned))
			} else if p.StdoutTerminal || dryRun || out.Given() {
				err = cli.Printed(writePruned(p.Stdout, "", pruned, dryRun))
			}
			for _, one := range pruned {
				if one.Error != "" {
					err = errors.Join(err, fmt.Errorf("prune %s: %s", one.Dataset, one.Error))
				}
			}
			return err
		},
	}
	c.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "print what would be destroyed; change nothing")
	out.AddTo(c)
	return c
}
