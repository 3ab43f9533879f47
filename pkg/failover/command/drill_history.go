package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/move"
	"github.com/understudy-ha/understudy/pkg/report"
)

// newDrillHistory returns the command "drill history".
func newDrillHistory(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "history",
		Short: "Show the past drills of this node",
		Long: `Show the drills that were started on this node, newest last: the downtime of
both moves, and how the drill ended. -o json prints all times.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDrillHistory(c.Context(), p, out) },
	}
	out.AddTo(c)
	return c
}

func runDrillHistory(ctx context.Context, p *cli.Process, out cli.Output) error {
	n, err := newMover(ctx, p)
	if err != nil {
		return err
	}
	past, err := n.Drills()
	if err != nil {
		return err
	}
	if out.JSON() {
		if past == nil {
			past = []move.Drill{}
		}
		return cli.Printed(report.JSON(p.Stdout, past))
	}
	if len(past) == 0 {
		_, err := fmt.Fprintln(p.Stdout, "no drills on this node yet")
		return cli.Printed(err)
	}
	rows := [][]string{{"WHEN", "FROM", "TO", "DOWNTIME 1", "DOWNTIME 2", "TOOK", "OUTCOME"}}
	for _, d := range past {
		rows = append(rows, []string{
			d.Started.Local().Format(time.DateTime), d.From, d.To, gapOf(d.There), gapOf(d.Back),
			report.Duration(d.Ended.Sub(d.Started)), drillOutcome(d),
		})
	}
	return cli.Printed(report.Table(p.Stdout, rows))
}

// drillOutcome describes how a drill ended, in one line.
func drillOutcome(d move.Drill) string {
	switch {
	case d.Error == "":
		return "done"
	case d.Serving == "":
		return "FAILED, no node known to serve: " + d.Error
	}
	return "FAILED, " + d.Serving + " served: " + d.Error
}
