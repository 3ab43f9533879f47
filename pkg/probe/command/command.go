package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/probe"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// exitStatus replaces the usual codes: keepalived knows only these.
const exitStatus = `  0  healthy
  1  not healthy, or it could not be told in time`

// unhealthyError gives every failure the code 1, whatever it was.
type unhealthyError struct{ err error }

func (e *unhealthyError) Error() string { return e.err.Error() }
func (e *unhealthyError) Unwrap() error { return e.err }

// ExitCode is 1, the only one that keepalived's people would look up.
func (e *unhealthyError) ExitCode() int { return exit.Failed }

// options are the flags of track-traefik.
type options struct {
	explain bool
	format  string
}

// New returns the program's command.
func New(p *cli.Process) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "track-traefik",
		Short: "Check whether this node serves, or could serve: for keepalived",
		Long: `Report to keepalived whether this node is healthy, in less than 0.8 seconds,
whatever hangs.

Active node: Traefik's container runs and answers. Node in promotion: it makes
progress. Any other node: the engine answers, Traefik's image is present, the
node is not held, and its last fault is over. Every node: the pool is healthy,
and one of the configured witnesses answers.`,
		Args: func(c *cobra.Command, args []string) error {
			if err := cobra.NoArgs(c, args); err != nil {
				return &unhealthyError{cli.Usagef("%v", err)}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			// The end on a signal is guard's, with the right code.
			return run(context.WithoutCancel(c.Context()), p, o)
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &unhealthyError{cli.Usagef("%v", err)} })
	c.Flags().BoolVar(&o.explain, "explain", false, "show each check, its verdict and its milliseconds")
	c.Flags().StringVarP(&o.format, "output", "o", "text", "`format`: text or json; json shows what --explain does")
	cli.SetExitStatus(c, exitStatus)
	c.AddCommand(cli.ConfigCommand(p))
	return c
}

func run(ctx context.Context, p *cli.Process, o options) error {
	if o.format != "text" && o.format != "json" {
		return &unhealthyError{cli.Usagef("-o %q is neither text nor json", o.format)}
	}
	cfg, err := p.LoadConfig(nil)
	if err != nil {
		return &unhealthyError{err}
	}
	dir, err := state.Open(cfg.StateDir)
	if err != nil {
		return &unhealthyError{err}
	}
	result := probe.New(cfg, dir, p.Now).Run(ctx)
	switch {
	case o.format == "json":
		err = report.JSON(p.Stdout, result)
	case o.explain:
		err = explain(p.Stdout, result)
	default:
		// A person who asks is no sign that keepalived does, so only its own
		// runs are recorded.
		record(p, cfg.RunDir, result)
	}
	if err != nil {
		return &unhealthyError{fmt.Errorf("print the result: %w", err)}
	}
	if result.Healthy {
		return nil
	}
	failures := strings.Join(result.Failures(), "; ")
	fmt.Fprintln(p.Stderr, "track-traefik: not healthy: "+failures)
	// It is said. As an error it would be logged again every second for as
	// long as it lasts; the change of the verdict is logged once.
	p.Stderr = io.Discard
	return &unhealthyError{fmt.Errorf("not healthy: %s", failures)}
}

// record leaves the result for the other programs, and logs a change. That it
// can't is no failure of the service.
func record(p *cli.Process, runDir string, result probe.Result) {
	found := result.Before != nil
	changed := !found || result.Before.Healthy != result.Healthy
	switch {
	case changed && !result.Healthy:
		p.Log.Warn().Strs("failures", result.Failures()).Str("mode", string(result.Mode)).Msg("this node is not healthy")
	case changed && found:
		p.Log.Warn().Str("mode", string(result.Mode)).Msg("this node is healthy again")
	}
	if err := probe.WriteRecord(runDir, result); err != nil && changed {
		p.Log.Warn().Err(err).Msg("the check can't be recorded")
	}
}

// explain shows each check with its outcome.
func explain(w io.Writer, result probe.Result) error {
	rows := [][]string{{"CHECK", "VERDICT", "MS", ""}}
	for _, c := range result.Checks {
		rows = append(rows, []string{c.Name, string(c.Verdict), milliseconds(c.Seconds), c.Text})
	}
	if err := report.Table(w, rows); err != nil {
		return err
	}
	verdict := "healthy"
	if !result.Healthy {
		verdict = "not healthy"
	}
	_, err := fmt.Fprintf(w, "\n%s: role %s, asked whether it %s, %s ms\n", verdict, result.Role, result.Mode, milliseconds(result.Seconds))
	return err
}

func milliseconds(seconds float64) string {
	return fmt.Sprintf("%.1f", float64(time.Duration(seconds*float64(time.Second)))/float64(time.Millisecond))
}
