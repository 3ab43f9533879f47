package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/failover/hooks"
)

// newFence returns the command "fence".
func newFence(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "fence",
		Short: "Make the datasets of a former active node read-only at boot",
		Long: `Make the replicated datasets read-only at boot, before they are mounted, on a node
that was active when it went down: another node may be active by now. On any other
node fence does nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runFence(c.Context(), p) },
	}
}

func runFence(ctx context.Context, p *cli.Process) error {
	cfg, err := hooks.Load(p)
	if err != nil {
		return err
	}
	// The node's own name does not matter, and is not known yet: datasets are mounted
	// before the network has addresses.
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
	return fenceFailure(result.Failed)
}

// fenceError names datasets that the boot can still write to.
type fenceError struct{ failed []string }

func fenceFailure(failures []data.Failure) error {
	if len(failures) == 0 {
		return nil
	}
	e := &fenceError{}
	for _, f := range failures {
		e.failed = append(e.failed, fmt.Sprintf("%s: %v", f.Dataset, f.Err))
	}
	return e
}

func (e *fenceError) Error() string {
	return "make read-only: " + strings.Join(e.failed, "; ")
}

// ExitCode is 3: the other datasets are read-only.
func (e *fenceError) ExitCode() int { return exit.Partial }

// Hint says what to do next.
func (e *fenceError) Hint() string {
	return "keep programs from writing to them until failover-notify join has finished: zfs set readonly=on DATASET"
}
