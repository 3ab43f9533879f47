package command

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover/move"
	"github.com/understudy-ha/understudy/pkg/report"
)

// newDrill returns the command "drill".
func newDrill(p *cli.Process) *cobra.Command {
	var out cli.Output
	to, yes, dryRun := "", false, false
	c := &cobra.Command{
		Use:   "drill",
		Short: "Try a switchover there and back, and say how long each took",
		Long: `Try a switchover on the real pair: hand over to another node, wait until it serves,
and have it hand back. Run it on the active node, at a time when some seconds
without the services do no harm.

Both nodes are looked at first, and that the way back is open. Nothing is lost by
it: each move sends all that was written before the address moves. Whatever fails,
the drill stops where the services run and says which node that is.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := newMover(c.Context(), p)
			if err != nil {
				return err
			}
			plan, err := n.PlanDrill(c.Context(), to)
			if err != nil || dryRun {
				return cmp.Or(printSwitched(p, out, plan, dryRun), err)
			}
			if !yes {
				past, err := n.Drills()
				if err != nil {
					return err
				}
				sure, err := p.Confirm("go on?", func(w io.Writer) error { return writeDrillPlan(w, plan, past) })
				switch {
				case err != nil:
					return err
				case !sure:
					return errUnconfirmed{}
				}
			}
			d, err := n.Drill(c.Context(), plan.To, func(text string) { p.Log.Info().Msg(text) })
			if out.JSON() {
				if printErr := cli.Printed(report.JSON(p.Stdout, d)); printErr != nil {
					return printErr
				}
				return err
			}
			if printErr := cli.Printed(writeDrill(p.Stdout, d)); printErr != nil {
				return printErr
			}
			return err
		},
	}
	c.Flags().StringVar(&to, "to", "", "`name` of the node to hand over to (default the only other one)")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "only look whether it would go well")
	out.AddTo(c)
	c.AddCommand(newDrillHistory(p))
	return c
}

// newDrillHistory returns the command "drill history".
func newDrillHistory(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "history",
		Short: "Show the past drills of this node",
		Long: `Show the drills that were started on this node, newest last: for how long nothing
served on the way there and back, and how each ended. -o json has all times.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := newMover(c.Context(), p)
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
				_, err := fmt.Fprintln(p.Stdout, "no drill was started on this node")
				return cli.Printed(err)
			}
			rows := [][]string{{"WHEN", "FROM", "TO", "GAP THERE", "GAP BACK", "TOOK", "OUTCOME"}}
			for _, d := range past {
				rows = append(rows, []string{
					d.Started.Local().Format(time.DateTime), d.From, d.To, gapOf(d.There), gapOf(d.Back),
					report.Duration(d.Ended.Sub(d.Started)), ended(d),
				})
			}
			return cli.Printed(report.Table(p.Stdout, rows))
		},
	}
	out.AddTo(c)
	return c
}

// errUnconfirmed is a person's no.
type errUnconfirmed struct{}

func (errUnconfirmed) Error() string { return "drill: not confirmed: nothing was changed" }

// ExitCode is 76, EX_PROTOCOL of sysexits.h: a refusal.
func (errUnconfirmed) ExitCode() int { return exit.Refused }

// writeDrillPlan says what is about to happen.
func writeDrillPlan(w io.Writer, plan move.Switched, past []move.Drill) error {
	last := "some seconds"
	for _, d := range past {
		if d.Error == "" {
			last = fmt.Sprintf("some seconds (the last time: %s and %s)", gapOf(d.There), gapOf(d.Back))
		}
	}
	_, err := fmt.Fprintf(w, `Both nodes are ready.
The services move from %s to %s and back. Each move stops them for
%s. Nothing that was written is lost.
`, plan.From, plan.To, last)
	return err
}

// writeDrill shows what each move took.
func writeDrill(w io.Writer, d move.Drill) error {
	rows := [][]string{{"", "STOP", "INCREMENT", "ADDRESS", "PROJECTS", "NOTHING SERVED"}}
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
	_, err := fmt.Fprintf(w, "%s serves again, and %s could take over\n", d.Serving, d.To)
	return err
}

// gapOf is how long nothing served in a move.
func gapOf(m *move.Moved) string {
	if m == nil {
		return "-"
	}
	return tenths(m.Gap)
}

func tenths(seconds float64) string { return fmt.Sprintf("%.1f s", seconds) }

// ended says how a drill ended, in one line.
func ended(d move.Drill) string {
	switch {
	case d.Error == "":
		return "done"
	case d.Serving == "":
		return "FAILED, no node was known to serve: " + d.Error
	}
	return "FAILED, " + d.Serving + " served: " + d.Error
}
