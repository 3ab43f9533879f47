package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/report"
)

// newJoin returns the command "join".
func newJoin(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "join",
		Short: "Join the pair at boot as a standby",
		Long: `Join the pair at boot, after the Docker Engine and before keepalived. join stops
the containers that the boot started, makes the datasets read-only, asks the peers,
and decides whether this node is eligible to hold the virtual IP. Until then it is
not.

join also exits with 0 if the node is not eligible yet. On a node that became active
since boot it changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runJoin(c.Context(), p, out) },
	}
	out.AddTo(c)
	cli.SetLogLevel(c, zerolog.InfoLevel)
	return c
}

func runJoin(ctx context.Context, p *cli.Process, out cli.Output) error {
	node, err := newNode(ctx, p)
	if err != nil {
		return err
	}
	joined, err := node.Join(ctx)
	if joined.Role == "" {
		return err
	}
	if err != nil {
		err = &leftoverError{err}
	}
	if out.JSON() {
		return cmp.Or(cli.Printed(report.JSON(p.Stdout, joined)), err)
	}
	return cmp.Or(cli.Printed(writeJoined(p.Stdout, joined)), err)
}

// leftoverError is a join that could not stop or release everything.
type leftoverError struct{ err error }

func (e *leftoverError) Error() string { return e.err.Error() }
func (e *leftoverError) Unwrap() error { return e.err }

// ExitCode is 3: the node has joined, but something on it can still write.
func (e *leftoverError) ExitCode() int { return exit.Partial }

func writeJoined(w io.Writer, j failover.Joined) error {
	text := fmt.Sprintf("role: %s\n", j.Role)
	if j.Already {
		text = fmt.Sprintf("role: %s already in this boot; nothing changed\n", j.Role)
	}
	switch {
	case j.Eligible:
		text += "eligible: yes, this node may hold the virtual IP\n"
	case len(j.Reasons) > 0:
		text += fmt.Sprintf("eligible: no: %s\n", rules.Words(j.Reasons))
	default:
		text += "eligible: no\n"
	}
	for _, peer := range j.Peers {
		text += fmt.Sprintf("%s: %s, term %d\n", peer.Node, peer.Role, peer.Term)
	}
	if len(j.Silent) > 0 {
		text += fmt.Sprintf("no answer from: %s\n", strings.Join(j.Silent, ", "))
	}
	_, err := io.WriteString(w, text)
	return err
}
