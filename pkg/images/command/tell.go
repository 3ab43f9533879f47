package command

import (
	"context"
	"strings"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/images"
	"github.com/understudy-ha/understudy/pkg/metrics"
	"github.com/understudy-ha/understudy/pkg/notify"
)

// teller reports how a run went to the operator, a heartbeat service and Prometheus. What
// it can't do is logged and changes nothing.
type teller struct {
	p         *cli.Process
	node      *images.Node
	spool     *notify.Spool
	heartbeat *notify.Heartbeat
}

func newTeller(p *cli.Process, n *images.Node) *teller {
	t := &teller{p: p, node: n, spool: notify.Open(n.Config, n.State)}
	var err error
	if t.heartbeat, err = notify.NewHeartbeat(n.Config, "images", n.Self.Name, p.Log); err != nil {
		p.Log.Error().Err(err).Msg("no heartbeat")
	}
	return t
}

// end tells how a run ended.
func (t *teller) end(ctx context.Context, result *images.Result, err error) {
	t.heartbeat.End(ctx, exit.Code(err))
	if err := t.figures(result).Write(t.node.Config.Metrics.TextfileDir); err != nil {
		t.p.Log.Error().Err(err).Msg("the metrics are not written")
	}
	n := notify.Notice{
		Key: "images/" + t.node.Self.Name, Level: notify.OK, Title: t.node.Self.Name + " could start every project offline",
		From: "image-sync", Node: t.node.Self.Name, Time: t.p.Now(),
	}
	if result != nil {
		n.Role = result.Role.String()
	}
	if err != nil {
		n.Level, n.Wait, n.Hint = notify.Warning, t.spool.Settle(), exit.Hint(err)
		line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		n.Title = "image-sync on " + t.node.Self.Name + ": " + line
	}
	if err := t.spool.Put(n); err != nil {
		t.p.Log.Error().Err(err).Msg("people are not told")
	}
	if err := t.spool.Flush(ctx, t.node.Runner, t.node.State, t.node.Config.File()); err != nil {
		t.p.Log.Info().Err(err).Msg("notifications wait")
	}
}

// figures are the metrics of the last run, and of the last one that did all.
func (t *teller) figures(result *images.Result) *metrics.Set {
	set := metrics.New(metrics.Images)
	record, err := t.node.LastRecord()
	if err != nil {
		t.p.Log.Error().Err(err).Msg("not all metrics are known")
	}
	set.Add("understudy_images_missing", float64(len(record.Missing())))
	set.Time("understudy_images_last_run_timestamp_seconds", t.p.Now())
	set.Time("understudy_images_last_success_timestamp_seconds", record.LastSuccess)
	if result != nil {
		set.Add("understudy_images_duration_seconds", result.Seconds)
	}
	return set
}
