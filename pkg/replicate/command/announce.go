package command

import (
	"context"
	"strings"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/metrics"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/replicate"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
)

// announcer reports a run's result to the operator, to a ping URL and to Prometheus. A
// failure of its own is logged and changes nothing.
type announcer struct {
	p         *cli.Process
	e         *replicate.Engine
	spool     *notify.Spool
	heartbeat *notify.Heartbeat
	role      state.RoleFile
}

func newAnnouncer(p *cli.Process, e *replicate.Engine) *announcer {
	t := &announcer{p: p, e: e, spool: notify.Open(e.Config, e.State)}
	var err error
	if t.heartbeat, err = notify.NewHeartbeat(e.Config, "replicate", e.Self.Name, p.Log); err != nil {
		p.Log.Error().Err(err).Msg("no heartbeat")
	}
	t.role, _ = e.State.Role() // the run reports an unreadable role
	return t
}

// begin announces the start of a run, on a node that may run.
func (t *announcer) begin(ctx context.Context) {
	if !t.e.Config.Replication.RequireRole || t.role.Role == state.RoleActive {
		t.heartbeat.Start(ctx)
	}
}

// end announces the result. A run that did not begin because the node is a standby
// withdraws the announcements of earlier ones.
func (t *announcer) end(ctx context.Context, result *replicate.Result, err error, whole bool) {
	if result == nil && idle(err) {
		if !locked(err) {
			t.withdraw(ctx)
		}
		return
	}
	t.heartbeat.End(ctx, exit.Code(err))
	if err := t.figures(result).Write(t.e.Config.Metrics.TextfileDir); err != nil {
		t.p.Log.Error().Err(err).Msg("the metrics are not written")
	}
	for _, n := range t.notices(result, err, whole) {
		t.put(n)
	}
	t.flush(ctx)
}

func (t *announcer) put(n notify.Notice) {
	n.From, n.Node, n.Role, n.Term, n.Time = "zfs-replicate", t.e.Self.Name, t.role.Role.String(), t.role.Term, t.p.Now()
	if err := t.spool.Put(n); err != nil {
		t.p.Log.Error().Err(err).Msg("a notification is not queued")
	}
}

func (t *announcer) flush(ctx context.Context) {
	if err := t.spool.Flush(ctx, t.e.Runner, t.e.State, t.e.Config.File()); err != nil {
		t.p.Log.Info().Err(err).Msg("notifications wait")
	}
}

// withdraw takes back this node's announcements as the active node.
func (t *announcer) withdraw(ctx context.Context) {
	if err := metrics.Remove(t.e.Config.Metrics.TextfileDir, metrics.Replication); err != nil {
		t.p.Log.Error().Err(err).Msg("the metrics of earlier runs stay")
	}
	for _, n := range t.e.Config.Standbys(t.e.Self) {
		t.put(notify.Notice{Key: "standby/" + n.Name, Level: notify.Gone})
	}
	t.put(notify.Notice{Key: "node/" + t.e.Self.Name, Level: notify.Gone})
	t.flush(ctx)
}

// notices returns the announcements of a run: one for each standby, and one for this
// node.
func (t *announcer) notices(result *replicate.Result, err error, whole bool) []notify.Notice {
	self := notify.Notice{Key: "node/" + t.e.Self.Name, Level: notify.OK, Title: "replication from " + t.e.Self.Name + " works"}
	problem := func(text, hint string) {
		self.Level, self.Wait, self.Hint = notify.Warning, t.spool.Settle(), hint
		self.Title = "replication from " + t.e.Self.Name + " fails: " + firstLine(text)
	}
	if result == nil || len(result.Standbys) == 0 || err != nil && result.Snapshot.Reason == "" {
		problem(err.Error(), exit.Hint(err))
		return []notify.Notice{self}
	}
	switch {
	case result.Missing != "":
		problem(result.Missing, "see 'zfs list' and replication.datasets")
	case result.Snapshot.Error != "":
		problem(result.Snapshot.Error, "run 'zfs-replicate run' for the details")
	}
	notices := []notify.Notice{self}
	for _, s := range result.Standbys {
		if n := t.standby(s); whole || n.Level != notify.OK { // a part that works says nothing about the rest
			notices = append(notices, n)
		}
	}
	return notices
}

// standby returns the announcement of one standby.
func (t *announcer) standby(s *replicate.StandbyResult) notify.Notice {
	n := notify.Notice{Key: "standby/" + s.Node, Level: notify.OK, Title: "replication to " + s.Node + " works"}
	if s.Error != "" {
		n.Level, n.Wait, n.Hint = notify.Warning, t.spool.Settle(), s.Hint
		n.Title = "replication to " + s.Node + " fails: " + firstLine(s.Error)
	}
	for _, item := range s.Items {
		switch {
		case item.Error != "" && item.Error != s.Error:
			n.Text = append(n.Text, item.Source+": "+firstLine(item.Error))
		case item.Stuck():
			n.Text = append(n.Text, item.Source+": "+string(item.Action)+": "+item.Reason)
		default:
			continue
		}
		if n.Level == notify.OK {
			n.Level, n.Wait, n.Hint = notify.Warning, t.spool.Settle(), item.Hint
			n.Title = "not every dataset is replicated to " + s.Node
		}
		if item.Action == plan.Conflict {
			n.Level, n.Wait, n.Hint = notify.Critical, 0, item.Hint
			n.Title = s.Node + " was written to: " + item.Target + " is no longer replicated"
		}
	}
	const most = 10
	if len(n.Text) > most {
		n.Text = append(n.Text[:most], "and more: zfs-replicate status")
	}
	return n
}

// figures returns the metrics of all runs so far.
func (t *announcer) figures(result *replicate.Result) *metrics.Set {
	set := metrics.New(metrics.Replication)
	sent, _, err := t.e.State.Sent()
	if err != nil {
		t.p.Log.Error().Err(err).Msg("the record of runs is unreadable: some metrics are missing")
	}
	ran := map[string]*replicate.StandbyResult{}
	if result != nil {
		for _, s := range result.Standbys {
			ran[s.Node] = s
		}
	}
	for _, n := range t.e.Config.Standbys(t.e.Self) {
		var record state.SentStandby
		if known := sent.Standbys[n.Name]; known != nil {
			record = *known
		}
		tried := record.LastRun
		if result == nil {
			tried = t.p.Now() // it failed before it reached any standby
		}
		set.Time("understudy_replication_last_run_timestamp_seconds", tried, n.Name)
		set.Time("understudy_replication_last_success_timestamp_seconds", record.LastSuccess, n.Name)
		bad := 0
		for _, d := range record.Datasets {
			if d.Error != "" {
				bad++
			}
		}
		set.Add("understudy_replication_datasets", float64(len(record.Datasets)-bad), n.Name)
		set.Add("understudy_replication_failed_datasets", float64(bad), n.Name)
		if s := ran[n.Name]; s != nil {
			set.Add("understudy_replication_duration_seconds", s.Seconds, n.Name)
			set.Add("understudy_replication_sent_bytes", float64(s.Bytes), n.Name)
		}
	}
	return set
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
