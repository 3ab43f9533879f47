package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/report"
)

func newInventory(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "inventory",
		Short: "List the datasets of this node, for the other nodes",
		Long: `List the replicated datasets of this node with their snapshots and guids. Another
node runs this over ssh when it rejoins. It changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			i, err := node.Inventory(c.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return cli.Printed(report.JSON(p.Stdout, i))
			}
			rows := [][]string{{"DATASET", "SNAPSHOTS", "NEWEST"}}
			for _, d := range i.Datasets {
				newest := "none"
				d.Snapshots = d.Snaps
				if snap, any := d.Dataset.Newest(); any {
					newest = "@" + snap.Name
				}
				rows = append(rows, []string{d.Name, fmt.Sprint(len(d.Snaps)), newest})
			}
			return cli.Printed(report.Table(p.Stdout, rows))
		},
	}
	out.AddTo(c)
	return c
}
