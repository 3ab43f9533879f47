package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// newHistory returns the command "history".
func newHistory(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "history",
		Short: "Show the last role changes of this node",
		Long: `Show the last role changes of this node, newest last: when, under which term, how
long they took, how they ended and why. -o json also prints their steps.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runHistory(c.Context(), p, out) },
	}
	out.AddTo(c)
	return c
}

func runHistory(ctx context.Context, p *cli.Process, out cli.Output) error {
	node, err := newNode(ctx, p)
	if err != nil {
		return err
	}
	history, err := node.State.History()
	if err != nil {
		return err
	}
	if out.JSON() {
		if history == nil {
			history = []state.Past{}
		}
		return cli.Printed(report.JSON(p.Stdout, history))
	}
	rows := [][]string{{"WHEN", "FROM", "TO", "TERM", "SECONDS", "OUTCOME", "WHY"}}
	for _, h := range history {
		why := h.Reason
		if h.Error != "" {
			why += ": " + h.Error
		}
		rows = append(rows, []string{
			h.Started.Local().Format(time.DateTime), h.From.String(), h.To.String(), fmt.Sprint(h.Term),
			fmt.Sprintf("%.2f", h.Ended.Sub(h.Started).Seconds()), string(h.Outcome), why,
		})
	}
	return cli.Printed(report.Table(p.Stdout, rows))
}
