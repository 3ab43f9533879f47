package command

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/replicate"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

type runFlags struct {
	replicate.Options
	cli.Output
	scheduled bool
}

func newRun(p *cli.Process) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Take a snapshot and bring every standby up to date",
		Long: `Take a snapshot of the changes and bring every standby up to date.

It is made for cron or a timer, every minute if you like, and for use by hand.
You can run it twice and kill it at any moment: the next run continues. Without
a terminal it prints nothing if it succeeds.`,
		Example: `  zfs-replicate run
  zfs-replicate run --dataset tank/media --to secondary
  zfs-replicate run --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, p) },
	}
	f.addTo(c, p)
	c.Flags().BoolVarP(&f.DryRun, "dry-run", "n", false, "print the planned steps and the reasons; change nothing")
	c.Flags().BoolVar(&f.scheduled, "scheduled", false, "for cron and timers: no error on a standby, or while another run is in progress")
	return c
}

func (f *runFlags) addTo(c *cobra.Command, _ *cli.Process) {
	c.Flags().StringVar(&f.Dataset, "dataset", "", "only this `dataset` and those below it")
	c.Flags().StringVar(&f.To, "to", "", "only this standby `node`")
	c.Flags().String("snapshot", "", "`when` to take one: changed (only of datasets that were written to), always or never (default: as configured)")
	f.Output.AddTo(c)
}

func (f *runFlags) run(c *cobra.Command, p *cli.Process) error {
	engine, err := newEngine(c.Context(), p, map[string]*pflag.Flag{"replication.snapshot": c.Flags().Lookup("snapshot")})
	if err != nil {
		return err
	}
	bar := newProgress(p)
	f.Progress = bar
	announcer := newAnnouncer(p, engine)
	if !f.DryRun {
		announcer.begin(c.Context())
	}
	result, err := engine.Run(c.Context(), f.Options)
	bar.close()
	if !f.DryRun {
		announcer.end(c.Context(), result, err, f.Dataset == "")
	}
	if f.scheduled && result == nil && idle(err) {
		p.Log.Info().Err(err).Msg("nothing to do")
		return nil
	}
	if result == nil {
		return err
	}
	if f.JSON() {
		return errors.Join(err, cli.Printed(report.JSON(p.Stdout, result)))
	}
	if f.DryRun {
		return errors.Join(err, cli.Printed(writePlan(p.Stdout, result)))
	}
	logTroubles(p, result)
	if p.StdoutTerminal || f.Given() {
		return errors.Join(err, cli.Printed(writeResult(p.Stdout, result)))
	}
	return err
}

// idle reports whether a run did not begin for a reason that a schedule meets every
// day.
func idle(err error) bool {
	if locked(err) {
		return true
	}
	refusal, refused := errors.AsType[*plan.Refusal](err)
	return refused && refusal.Expected
}

// locked reports whether another run is in progress.
func locked(err error) bool {
	_, is := errors.AsType[*state.LockedError](err)
	return is
}

// logTroubles logs each dataset with a problem: the error at the end names one of
// them.
func logTroubles(p *cli.Process, result *replicate.Result) {
	_, bad := result.Counts()
	for _, standby := range result.Standbys {
		for _, item := range standby.Items {
			what := item.Error
			if item.Warning != "" {
				p.Log.Warn().Str("dataset", item.Source).Str("standby", standby.Node).Msg(item.Warning)
			}
			switch {
			case what != "" && bad > 1:
			case item.Stuck() && bad > 1:
				what = string(item.Action) + ": " + item.Reason
			default:
				continue
			}
			p.Log.Warn().Str("dataset", item.Source).Str("standby", standby.Node).Msg(what)
		}
	}
}
