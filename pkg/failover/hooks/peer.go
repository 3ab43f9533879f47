package hooks

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/report"
)

// newPeer returns the command "peer".
func newPeer(p *cli.Process) *cobra.Command {
	var out cli.Output
	var newest uint64
	c := &cobra.Command{
		Use:   "peer",
		Short: "Show the state of this node, for the other nodes",
		Long: `Show the state of this node. Other nodes ask for it over ssh before they change
their role. peer asks neither ZFS nor the engine: it answers whatever hangs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := Records(c.Context(), p)
			if err != nil {
				return err
			}
			state, err := node.Describe()
			if err != nil {
				return err
			}
			if err := node.Heard(newest); err != nil {
				p.Log.Debug().Err(err).Msg("the other node's term is heard of when it is asked")
			}
			if out.JSON() {
				return cli.Printed(report.JSON(p.Stdout, state))
			}
			return cli.Printed(sayPeer(p.Stdout, state))
		},
	}
	c.Flags().Uint64Var(&newest, "newest-term", 0, "the newest `term` that the asking node has heard of: of a newer one than here, it is asked")
	out.AddTo(c)
	return c
}

func sayPeer(w io.Writer, s rules.PeerState) error {
	rows := [][]string{
		{"node", s.Node},
		{"role", s.Role.String()},
		{"term", fmt.Sprintf("%d, newest known %d, last active %d", s.Term, s.NewestTerm, s.ActiveTerm)},
		{"request", string(s.Requested)},
		{"holds the address", yes(s.HoldsAddress)},
		{"eligible", s.EligibleText()},
		{"may write", yes(s.Writers)},
	}
	for _, alert := range s.Alerts {
		rows = append(rows, []string{"alert", alert})
	}
	return report.Table(w, rows)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
