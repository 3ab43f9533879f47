package command

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/move"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// newSwitchover returns the command "switchover".
func newSwitchover(p *cli.Process) *cobra.Command {
	var out cli.Output
	to, back, dryRun := "", "", false
	c := &cobra.Command{
		Use:   "switchover",
		Short: "Hand the active role over to another node, without loss",
		Long: `Hand the active role over to another node, without loss. Run it on the active
node; to go back, run it on the other one.

Both nodes are looked at first. What was written is sent while the services run;
then they are stopped, the rest is sent, and the virtual IP moves. Whatever
fails before that starts everything here again.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := newMover(c.Context(), p)
			if err != nil {
				return err
			}
			if back != "" {
				moved, err := n.Return(c.Context(), back, dryRun)
				if err != nil {
					return err
				}
				return cli.Printed(report.JSON(p.Stdout, moved))
			}
			var unsaid error
			if !out.JSON() {
				// At once: what follows may take a while.
				n.Checked = func(checks []rules.Check) { unsaid = writeChecks(p.Stdout, checks) }
			}
			result, err := n.Switchover(c.Context(), to, dryRun)
			if out.JSON() {
				return cmp.Or(cli.Printed(report.JSON(p.Stdout, result)), err)
			}
			return cmp.Or(err, cli.Printed(unsaid), cli.Printed(writeOutcome(p.Stdout, result, dryRun)))
		},
	}
	c.Flags().StringVar(&to, "to", "", "`name` of the node that is to be active (default the first standby that may hold the address)")
	c.Flags().StringVar(&back, "return", "", "hand over to the `node` whose drill it is (other nodes ask so)")
	c.Flags().Lookup("return").Hidden = true
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only look whether it would go well")
	out.AddTo(c)
	return c
}

// drainTimeout leaves systemd's usual 90 s for a stop room for keepalived's own.
const drainTimeout = 80 * time.Second

// newDrain returns the command "drain".
func newDrain(p *cli.Process) *cobra.Command {
	timeout := drainTimeout
	c := &cobra.Command{
		Use:   "drain",
		Short: "Hand over before keepalived stops, if another node is ready",
		Long: `Hand over as switchover does before keepalived stops: its unit's ExecStop, so that
neither "systemctl stop keepalived" nor a reboot loses anything. When no other node
is ready, or what is to be sent takes too long, nothing is done, and keepalived's stop
does what it would have done anyway. Where it fails later, this node gives way as it is:
nothing is started again. On a node that is not active nothing is done.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := newMover(c.Context(), p)
			if err != nil {
				return err
			}
			here, err := n.Describe()
			if err != nil || here.Role != state.RoleActive {
				return err
			}
			result, err := n.Drain(c.Context(), timeout)
			if err != nil {
				return err
			}
			p.Log.Info().Str("to", result.To).Float64("gap", result.Gap).Msg("handed over")
			return nil
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", timeout, "how long it may take")
	return c
}

// printSwitched prints a move, or what was looked at before one, in the form asked
// for.
func printSwitched(p *cli.Process, out cli.Output, s move.Switched, dryRun bool) error {
	if out.JSON() {
		return cli.Printed(report.JSON(p.Stdout, s))
	}
	return cli.Printed(writeSwitched(p.Stdout, s, dryRun))
}

// writeSwitched says what was looked at and what came of it.
func writeSwitched(w io.Writer, s move.Switched, dryRun bool) error {
	return cmp.Or(writeChecks(w, s.Checks), writeOutcome(w, s, dryRun))
}

// writeChecks says what was looked at.
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

// writeOutcome says what came of a move.
func writeOutcome(w io.Writer, s move.Switched, dryRun bool) error {
	text := ""
	switch {
	case s.Moved:
		text = fmt.Sprintf("%s is active; nothing served for %s\n", s.To, report.Duration(time.Duration(s.Gap*float64(time.Second))))
	case dryRun && len(s.Checks) > 0:
		text = fmt.Sprintf("this was a dry run: %s is still active\n", s.From)
	}
	_, err := io.WriteString(w, text)
	return err
}
