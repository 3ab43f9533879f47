package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/hooks"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/report"
)

// leftoverError is a join after which something of this node may still write.
type leftoverError struct{ err error }

func (e *leftoverError) Error() string { return e.err.Error() }
func (e *leftoverError) Unwrap() error { return e.err }

// ExitCode is 3: the node has joined, but not all of it was given up.
func (e *leftoverError) ExitCode() int { return exit.Partial }

// newJoin returns the command "join".
func newJoin(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "join",
		Short: "Join the pair at boot: as a standby, eligible once it may be",
		Long: `Join the pair at boot, after the engine and before keepalived: stop what the boot
has started, give the data up, ask the other nodes, and decide whether this node
may hold the virtual IP. Until then it may not.

It ends with 0 also when the node may not hold the address yet. On a node that is
active in this boot it changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			joined, err := node.Join(c.Context())
			if joined.Role == "" {
				return err
			}
			if err != nil {
				err = &leftoverError{err}
			}
			if out.JSON() {
				return first(cli.Printed(report.JSON(p.Stdout, joined)), err)
			}
			return first(cli.Printed(sayJoined(p.Stdout, joined)), err)
		},
	}
	out.AddTo(c)
	cli.SetLogLevel(c, zerolog.InfoLevel)
	return c
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func sayJoined(w io.Writer, j failover.Joined) error {
	text := fmt.Sprintf("role: %s\n", j.Role)
	if j.Already {
		text = fmt.Sprintf("role: %s already in this boot; nothing was changed\n", j.Role)
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

// newFence returns the command "fence".
func newFence(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "fence",
		Short: "Make the datasets of a node that was active read-only at boot",
		Long: `Make the replicated datasets read-only at boot, before they are mounted, on a node
that was active when it went down: another one may be active since. On all other
nodes it does nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return fence(c.Context(), p) },
	}
}

// fenceError says which datasets may still be written by the boot.
type fenceError struct{ failed []string }

func (e *fenceError) Error() string {
	return "not made read-only: " + strings.Join(e.failed, "; ")
}

// ExitCode is 3: the others were.
func (e *fenceError) ExitCode() int { return exit.Partial }

// Hint says what to do next.
func (e *fenceError) Hint() string {
	return "nothing must write to them before failover-notify join has ended: zfs set readonly=on DATASET"
}

func fence(ctx context.Context, p *cli.Process) error {
	cfg, err := hooks.Load(p)
	if err != nil {
		return err
	}
	// Which of the nodes this is does not matter, and can't be told: datasets are
	// mounted long before the network has addresses.
	node, err := assemble(p, cfg, config.Node{})
	if err != nil {
		return err
	}
	result, err := node.Fence(ctx)
	if err != nil {
		return err
	}
	for _, w := range result.Warnings {
		p.Log.Warn().Msg(w)
	}
	if result.Datasets > 0 {
		if _, err := fmt.Fprintf(p.Stdout, "read-only for the boot: %d of %d datasets\n", result.Usable(), result.Datasets); err != nil {
			return cli.Printed(err)
		}
	}
	var failed []string
	for _, f := range result.Failed {
		failed = append(failed, fmt.Sprintf("%s: %v", f.Dataset, f.Err))
	}
	if len(failed) > 0 {
		return &fenceError{failed}
	}
	return nil
}
