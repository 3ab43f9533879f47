package command

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover/move"
	"github.com/understudy-ha/understudy/pkg/report"
)

type drillOptions struct {
	cli.Output
	to          string
	yes, dryRun bool
}

// newDrill returns the command "drill".
func newDrill(p *cli.Process) *cobra.Command {
	var o drillOptions
	c := &cobra.Command{
		Use:   "drill",
		Short: "Switch over to another node and back, and measure both moves",
		Long: `Switch over to another node and back, to prove that both work. drill hands over,
waits until the other node serves, and has it hand back. Run it on the active node,
at a time when some seconds without the services do no harm.

drill first checks both nodes and both moves. It loses nothing: each move sends all
changes before the virtual IP moves. If a step fails, the drill stops where the
services run, and names that node.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDrill(c.Context(), p, o) },
	}
	c.Flags().StringVar(&o.to, "to", "", "`name` of the node to hand over to (default the only other node)")
	c.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	c.Flags().BoolVarP(&o.dryRun, "dry-run", "n", false, "run the checks only")
	o.AddTo(c)
	c.AddCommand(newDrillHistory(p))
	return c
}

func runDrill(ctx context.Context, p *cli.Process, o drillOptions) error {
	n, err := newMover(ctx, p)
	if err != nil {
		return err
	}
	plan, err := n.PlanDrill(ctx, o.to)
	if err != nil || o.dryRun {
		return cmp.Or(printPlan(p, o, plan), err)
	}
	if !o.yes {
		if err := confirmDrill(p, n, plan); err != nil {
			return err
		}
	}
	d, err := n.Drill(ctx, plan.To, func(text string) { p.Log.Info().Msg(text) })
	if o.JSON() {
		return cmp.Or(cli.Printed(report.JSON(p.Stdout, d)), err)
	}
	return cmp.Or(cli.Printed(writeDrill(p.Stdout, d)), err)
}

func printPlan(p *cli.Process, o drillOptions, plan move.Switched) error {
	if o.JSON() {
		return cli.Printed(report.JSON(p.Stdout, plan))
	}
	return cli.Printed(writeSwitched(p.Stdout, plan, o.dryRun))
}

// confirmDrill asks the operator, and returns an error unless the answer is yes.
func confirmDrill(p *cli.Process, n *move.Mover, plan move.Switched) error {
	past, err := n.Drills()
	if err != nil {
		return err
	}
	sure, err := p.Confirm("continue?", func(w io.Writer) error { return writeDrillPlan(w, plan, past) })
	if err == nil && !sure {
		err = errUnconfirmed{}
	}
	return err
}

// errUnconfirmed is the error if the operator does not agree.
type errUnconfirmed struct{}

func (errUnconfirmed) Error() string { return "drill: not confirmed, nothing changed" }

// ExitCode is 76, EX_PROTOCOL of sysexits.h: a refusal.
func (errUnconfirmed) ExitCode() int { return exit.Refused }

// writeDrillPlan announces the drill, with the times of the last one.
func writeDrillPlan(w io.Writer, plan move.Switched, past []move.Drill) error {
	last := "some seconds"
	for _, d := range past {
		if d.Error == "" {
			last = fmt.Sprintf("some seconds (last time: %s and %s)", gapOf(d.There), gapOf(d.Back))
		}
	}
	_, err := fmt.Fprintf(w, `Both nodes are ready.
The services move from %s to %s and back. Each move interrupts them for
%s. No written data is lost.
`, plan.From, plan.To, last)
	return err
}

// writeDrill prints the times of both moves.
func writeDrill(w io.Writer, d move.Drill) error {
	rows := [][]string{{"", "STOP", "INCREMENT", "ADDRESS", "PROJECTS", "DOWNTIME"}}
	for _, m := range []*move.Moved{d.There, d.Back} {
		if m != nil {
			rows = append(rows, []string{
				m.From + " → " + m.To, tenths(m.Times.Stop), tenths(m.Times.Send), tenths(m.Times.Address), tenths(m.Times.Projects), tenths(m.Gap),
			})
		}
	}
	if len(rows) > 1 {
		if err := report.Table(w, rows); err != nil {
			return err
		}
	}
	if d.Error != "" {
		return nil // the error says the rest
	}
	_, err := fmt.Fprintf(w, "%s serves again, and %s is ready to take over\n", d.Serving, d.To)
	return err
}

// gapOf returns the downtime of a move.
func gapOf(m *move.Moved) string {
	if m == nil {
		return "-"
	}
	return tenths(m.Gap)
}

func tenths(seconds float64) string { return fmt.Sprintf("%.1f s", seconds) }
