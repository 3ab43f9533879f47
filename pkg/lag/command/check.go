package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/lag"
	"github.com/understudy-ha/understudy/pkg/report"
)

// options are the flags of lag-check.
type options struct {
	format, textfile string
	local, scheduled bool
}

// service is the first word of the line for Nagios.
const service = "LAG"

func (o options) run(ctx context.Context, p *cli.Process) error {
	switch o.format {
	case "nagios", "text", "json":
	default:
		return o.unknown(p, cli.Usagef("--output %s: want nagios, text or json", o.format))
	}
	checker, err := newChecker(ctx, p)
	if err != nil {
		return o.unknown(p, err)
	}
	teller := newTeller(ctx, p, checker)
	r, err := checker.Check(ctx, !o.local)
	if err == nil {
		o.keep(ctx, p, checker, r)
		err = o.print(p, checker, r)
	}
	teller.end(ctx, r, err)
	if err != nil {
		return o.unknown(p, err)
	}
	if r.Level == lag.OK || o.scheduled {
		return nil
	}
	p.Stderr = io.Discard // it is said
	return &verdict{r.Level}
}

// keep writes down what was found. What can't be is no statement about the data.
func (o options) keep(ctx context.Context, p *cli.Process, checker *lag.Checker, r *lag.Report) {
	keeping, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := errors.Join(checker.Remember(r), lag.Keep(keeping, checker.State, r, int64(checker.Config.Lag.History)))
	if err != nil {
		p.Log.Warn().Err(err).Msg("this measurement is not kept")
	}
	if err := figures(r).Write(cmp.Or(o.textfile, checker.Config.Metrics.TextfileDir)); err != nil {
		p.Log.Error().Err(err).Msg("the metrics are not written")
	}
}

// print writes a report; for a schedule only one that is not in order, and only
// where nobody is told in another way: cron mails what is printed.
func (o options) print(p *cli.Process, c *lag.Checker, r *lag.Report) error {
	var err error
	switch {
	case o.scheduled && (r.Level == lag.OK || c.Config.Notify.URLsFile != ""):
	case o.format == "json":
		err = report.JSON(p.Stdout, r)
	case o.format == "text":
		err = writeText(p.Stdout, r)
	default:
		_, err = fmt.Fprintln(p.Stdout, line(c, r))
	}
	return cli.Printed(err)
}

// unknown says why nothing could be told. Nagios reads stdout only.
func (o options) unknown(p *cli.Process, err error) error {
	if o.format == "nagios" {
		if _, failed := fmt.Fprintln(p.Stdout, report.NagiosLine(service, lag.Unknown.String(), err.Error(), nil)); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	return &unknownError{err}
}

// ago is how long before now a time was.
func ago(now, then time.Time) string {
	if then.IsZero() {
		return "never"
	}
	return report.Duration(max(0, now.Sub(then))) + " ago"
}
