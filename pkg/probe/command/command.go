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

// exitStatus replaces the usual exit codes: keepalived knows only these.
const exitStatus = `  0  healthy
  1  not healthy, or no result in time`

// unhealthyError gives every failure the exit code 1.
type unhealthyError struct{ err error }

func (e *unhealthyError) Error() string { return e.err.Error() }
func (e *unhealthyError) Unwrap() error { return e.err }

// ExitCode is 1, the only failure that keepalived knows.
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
			// guard handles signals, with the right exit code.
			return run(context.WithoutCancel(c.Context()), p, o)
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &unhealthyError{cli.Usagef("%v", err)} })
	c.Flags().BoolVar(&o.explain, "explain", false, "show each check with its verdict and duration")
	c.Flags().StringVarP(&o.format, "output", "o", "text", "`format`: text or json; json includes the details of --explain")
	cli.SetExitStatus(c, exitStatus)
	c.AddCommand(cli.ConfigCommand(p))
	return c
}

func run(ctx context.Context, p *cli.Process, o options) error {
	if o.format != "text" && o.format != "json" {
		return &unhealthyError{cli.Usagef("--output %s: want text or json", o.format)}
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
		// Only keepalived's runs are recorded: a run of the operator does not prove that
		// keepalived runs the check.
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
	// The failure is printed. As an error it would be logged again each second; record
	// logs the change once.
	p.Stderr = io.Discard
	return &unhealthyError{fmt.Errorf("not healthy: %s", failures)}
}

// record writes the record for the other programs, and logs a change. A failed write is
// no failure of the service.
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
		p.Log.Warn().Err(err).Msg("cannot record the check")
	}
}

// explain prints each check with its verdict.
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
	_, err := fmt.Fprintf(w, "\n%s: role %s, checked %s, %s ms\n", verdict, result.Role, checkedAs(result.Mode), milliseconds(result.Seconds))
	return err
}

// checkedAs describes a mode.
func checkedAs(m probe.Mode) string {
	switch m {
	case probe.Serves:
		return "as the active node"
	case probe.Promotes:
		return "as a node in transition"
	}
	return "as a standby"
}

func milliseconds(seconds float64) string {
	return fmt.Sprintf("%.1f", float64(time.Duration(seconds*float64(time.Second)))/float64(time.Millisecond))
}
