package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/state"
)

// drainTimeout leaves keepalived's own stop a part of systemd's 90 s.
const drainTimeout = 80 * time.Second

// newDrain returns the command "drain".
func newDrain(p *cli.Process) *cobra.Command {
	timeout := drainTimeout
	c := &cobra.Command{
		Use:   "drain",
		Short: "Hand over before keepalived stops, if another node is ready",
		Long: `Hand over as switchover does, before keepalived stops. drain is the ExecStop of
keepalived's unit, so that "systemctl stop keepalived" and a reboot lose nothing. If
no other node is ready, or there is more to send than time allows, drain does
nothing, and keepalived stops as it would without drain. If drain fails later, this
node steps down and starts nothing again. On a node that is not active drain does
nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDrain(c.Context(), p, timeout) },
	}
	c.Flags().DurationVar(&timeout, "timeout", timeout, "time limit")
	return c
}

func runDrain(ctx context.Context, p *cli.Process, timeout time.Duration) error {
	n, err := newMover(ctx, p)
	if err != nil {
		return err
	}
	here, err := n.Describe()
	if err != nil || here.Role != state.RoleActive {
		return err
	}
	result, err := n.Drain(ctx, timeout)
	if err != nil {
		return err
	}
	p.Log.Info().Str("to", result.To).Float64("gap", result.Gap).Msg("handed over")
	return nil
}
