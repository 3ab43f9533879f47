package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/move"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/report"
)

type switchoverOptions struct {
	cli.Output
	to       string
	returnTo string // the request of a node that ends its drill
	dryRun   bool
}

// newSwitchover returns the command "switchover".
func newSwitchover(p *cli.Process) *cobra.Command {
	var o switchoverOptions
	c := &cobra.Command{
		Use:   "switchover",
		Short: "Move the services to another node, without loss",
		Long: `Move the services to another node, without loss. Run it on the active node; for the
failback, run it on the other node.

It checks both nodes and replicates while the services run. Then it stops them,
sends the last changes, and moves the virtual IP. If anything fails before the
virtual IP moves, this node starts its services again.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runSwitchover(c.Context(), p, o) },
	}
	c.Flags().StringVar(&o.to, "to", "", "`name` of the new active node (default the first eligible standby)")
	c.Flags().StringVar(&o.returnTo, "return", "", "hand over to the `node` that runs a drill (other nodes call this)")
	c.Flags().Lookup("return").Hidden = true
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "run the checks only")
	o.AddTo(c)
	return c
}

func runSwitchover(ctx context.Context, p *cli.Process, o switchoverOptions) error {
	n, err := newMover(ctx, p)
	if err != nil {
		return err
	}
	if o.returnTo != "" {
		moved, err := n.Return(ctx, o.returnTo, o.dryRun)
		if err != nil {
			return err
		}
		return cli.Printed(report.JSON(p.Stdout, moved))
	}
	var printErr error
	if !o.JSON() {
		// Print the checks at once: the move can take a while.
		n.Checked = func(checks []rules.Check) { printErr = writeChecks(p.Stdout, checks) }
	}
	result, err := n.Switchover(ctx, o.to, o.dryRun)
	if o.JSON() {
		return cmp.Or(cli.Printed(report.JSON(p.Stdout, result)), err)
	}
	return cmp.Or(err, cli.Printed(printErr), cli.Printed(writeOutcome(p.Stdout, result, o.dryRun)))
}

// writeSwitched prints the checks before a move and its outcome.
func writeSwitched(w io.Writer, s move.Switched, dryRun bool) error {
	return cmp.Or(writeChecks(w, s.Checks), writeOutcome(w, s, dryRun))
}

func writeChecks(w io.Writer, checks []rules.Check) error {
	var rows [][]string
	for _, check := range checks {
		verdict := "ok"
		if !check.OK {
			verdict = "FAILED: " + check.Text
		}
		rows = append(rows, []string{check.Node, check.Name, verdict})
	}
	return report.Table(w, rows)
}

func writeOutcome(w io.Writer, s move.Switched, dryRun bool) error {
	text := ""
	switch {
	case s.Moved:
		text = fmt.Sprintf("%s is active; downtime %s\n", s.To, report.Duration(time.Duration(s.Gap*float64(time.Second))))
	case dryRun && len(s.Checks) > 0:
		text = fmt.Sprintf("dry run: %s is still active\n", s.From)
	}
	_, err := io.WriteString(w, text)
	return err
}
