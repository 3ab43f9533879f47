package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/lag"
	"github.com/understudy-ha/understudy/pkg/report"
)

// historyOptions are the flags of "history".
type historyOptions struct {
	cli.Output
	svg, standby, dataset string
	since                 span
}

// span is a flag's duration, with days and weeks, as the configuration has them.
type span time.Duration

// String is the usual value as the help shows it.
func (a *span) String() string {
	if *a == span(24*time.Hour) {
		return "1d"
	}
	return time.Duration(*a).String()
}

func (a *span) Set(text string) error {
	d, err := config.ParseDuration(text)
	*a = span(d)
	return err
}

func (a *span) Type() string { return "duration" }

// before returns the moment so long before another.
func (a *span) before(t time.Time) time.Time { return t.Add(-time.Duration(*a)) }

// newHistory returns the command "history".
func newHistory(p *cli.Process) *cobra.Command {
	var o historyOptions
	c := &cobra.Command{
		Use:   "history",
		Short: "Draw the recorded lag over time",
		Long: `Draw the lag of each standby over time, from all that lag-check has measured on
this node, with the moments at which another node became active. Each column
shows the largest lag within its time; in the line below, a dot is a time
without measurements, an x one in which the other node did not answer.`,
		Example: `  lag-check history --since 7d
  lag-check history --dataset tank/db --svg lag.svg`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), p) },
	}
	o.AddTo(c)
	c.Flags().StringVar(&o.svg, "svg", "", "draw into this `file` instead")
	c.Flags().StringVar(&o.standby, "standby", "", "only this `node` (with --svg needed where there are several)")
	c.Flags().StringVar(&o.dataset, "dataset", "", "only this `dataset`, instead of the largest lag of all")
	o.since = span(24 * time.Hour)
	c.Flags().Var(&o.since, "since", "how far back, such as 6h or 7d")
	cli.SetExitStatus(c, "  0  done\n  1  failed\n  64 wrong command line\n  78 wrong configuration")
	return c
}

func (o historyOptions) run(ctx context.Context, p *cli.Process) error {
	checker, err := newChecker(ctx, p)
	if err != nil {
		return err
	}
	now := p.Now()
	points, err := lag.History(checker.State, o.since.before(now))
	if err != nil {
		return err
	}
	failovers, err := lag.Failovers(checker.State, checker.Self.Name, points)
	if err != nil {
		return err
	}
	if o.standby != "" {
		points = slices.DeleteFunc(points, func(q lag.Point) bool { return q.Standby != o.standby })
	}
	if o.JSON() {
		return cli.Printed(report.JSON(p.Stdout, map[string]any{"points": append([]lag.Point{}, points...), "failovers": append([]lag.Failover{}, failovers...)}))
	}
	if len(points) == 0 {
		return fmt.Errorf("nothing was measured since %s", o.since.before(now).Local().Format(time.DateTime))
	}
	curves := o.curves(checker, points, failovers, now)
	if o.svg == "" {
		return cli.Printed(o.draw(p.Stdout, curves))
	}
	if len(curves) > 1 {
		return cli.Usagef("--svg draws one standby: choose one with --standby")
	}
	if err := renameio.WriteFile(o.svg, []byte(curves[0].SVG()), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", o.svg, err)
	}
	return nil
}

// curves are one for each standby.
func (o historyOptions) curves(c *lag.Checker, points []lag.Point, failovers []lag.Failover, now time.Time) []lag.Curve {
	byStandby := map[string][]lag.Point{}
	var names []string
	for _, q := range points {
		if byStandby[q.Standby] == nil {
			names = append(names, q.Standby)
		}
		byStandby[q.Standby] = append(byStandby[q.Standby], q)
	}
	slices.Sort(names)
	var curves []lag.Curve
	warning, critical := c.Config.Lag.Limits(o.dataset)
	for _, name := range names {
		what := cmp.Or(o.dataset, "the largest lag")
		curves = append(curves, lag.Curve{
			Title:  fmt.Sprintf("%s on %s, up to %s", what, name, now.Local().Format(time.DateTime)),
			Points: byStandby[name], Dataset: o.dataset, Failovers: failovers, From: points[0].At, To: now,
			Warning: warning.Seconds(), Critical: critical.Seconds(),
		})
	}
	return curves
}

// The drawing on a terminal.
const textWidth, textHeight = 80, 10

func (o historyOptions) draw(w io.Writer, curves []lag.Curve) error {
	for i, c := range curves {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if _, err := io.WriteString(w, c.Text(textWidth, textHeight)); err != nil {
			return err
		}
	}
	return nil
}
