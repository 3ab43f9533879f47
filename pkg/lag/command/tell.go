package command

import (
	"cmp"
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/lag"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// standIn is how much longer than the source another node waits before it tells
// of the same: by then the other run has reported it.
const standIn = 3 * time.Minute

// teller reports the result of a check to the operator and a heartbeat service. What it
// can't do is logged and changes nothing.
type teller struct {
	p         *cli.Process
	cfg       *config.Config
	self      config.Node
	state     *state.Dir
	spool     *notify.Spool
	heartbeat *notify.Heartbeat
}

func newTeller(ctx context.Context, p *cli.Process, c *lag.Checker) *teller {
	t := &teller{p: p, cfg: c.Config, self: c.Self, state: c.State, spool: notify.Open(c.Config, c.State)}
	var err error
	if t.heartbeat, err = notify.NewHeartbeat(c.Config, "lag", c.Self.Name, p.Log); err != nil {
		p.Log.Error().Err(err).Msg("no heartbeat")
	}
	t.heartbeat.Start(ctx)
	return t
}

// end tells what was found. The heartbeat says that the check works: that a lag
// is too long is for people, who would be told twice.
func (t *teller) end(ctx context.Context, r *lag.Report, err error) {
	t.heartbeat.End(ctx, exit.Code(err))
	if t.spool == nil {
		return
	}
	for _, n := range t.notices(r, err) {
		n.From, n.Node, n.Time = service, t.self.Name, t.p.Now()
		if role, err := t.state.Role(); err == nil {
			n.Role, n.Term = role.Role.String(), role.Term
		}
		if err := t.spool.Put(n); err != nil {
			t.p.Log.Error().Err(err).Msg("people are not told")
		}
	}
	if err := t.spool.Flush(ctx, run.New(t.p.Log), t.state, t.cfg.File()); err != nil {
		t.p.Log.Info().Err(err).Msg("notifications wait")
	}
}

func (t *teller) notices(r *lag.Report, err error) []notify.Notice {
	self := notify.Notice{Key: "node/" + t.self.Name, Level: notify.OK, Title: "the lag can be told on " + t.self.Name}
	if err != nil {
		self.Level, self.Wait, self.Hint = notify.Warning, t.spool.Settle(), exit.Hint(err)
		self.Title = "the lag can't be told on " + t.self.Name + ": " + err.Error()
		return []notify.Notice{self}
	}
	pair := notify.Notice{Key: "pair", Level: notify.OK, Title: "the pair is ready", Wait: t.wait(r, true)}
	for _, p := range r.Problems {
		if level := levelOf(p.Level); pair.Level == notify.OK || level == notify.Critical {
			pair.Level, pair.Title, pair.Hint = level, p.Text, p.Hint
		}
		if p.Level != lag.Critical { // none is active for a moment in each switchover
			pair.Wait = max(pair.Wait, t.spool.Settle())
		}
	}
	pair.Elsewhere = notify.Level(r.Told[pair.Key])
	notices := []notify.Notice{self, pair}
	for _, s := range r.Standbys {
		notices = append(notices, t.standby(r, s))
	}
	return notices
}

// wait is how long this node waits longer than the one that is to tell.
func (t *teller) wait(r *lag.Report, asked bool) time.Duration {
	switch {
	case r.Source == t.self.Name || r.Source == "":
		return 0
	case asked:
		return standIn
	}
	// If the source is gone, this node is about to become active and tells that.
	return 2 * t.spool.Settle()
}

// standby is the notice of one standby.
func (t *teller) standby(r *lag.Report, s lag.Standby) notify.Notice {
	n := notify.Notice{Key: "standby/" + s.Node, Level: levelOf(s.Level), Title: StandbySummary(r, s), Wait: t.wait(r, s.Asked)}
	n.Elsewhere = notify.Level(r.Told[n.Key])
	if !s.Asked && s.Level == lag.Warning {
		n.Wait = max(n.Wait, t.spool.Settle())
		n.Hint = "see that " + s.Node + " and its network are up"
	}
	const most = 10
	listed := 0
	for _, d := range s.Datasets {
		if d.Level == lag.OK || d.State == lag.Excluded || d.State == lag.Orphan {
			continue
		}
		n.Hint = cmp.Or(n.Hint, d.Hint)
		if listed++; listed <= most {
			n.Text = append(n.Text, datasetText(d))
		}
	}
	if listed > most {
		n.Text = append(n.Text, "and more: lag-check -o text")
	}
	if n.Hint == "" {
		n.Hint = "'zfs-replicate status' on the active node says why it is behind"
	}
	return n
}

// levelOf is a level as the operator is notified of it. An unknown level is a warning.
func levelOf(l lag.Level) notify.Level {
	switch l {
	case lag.OK:
		return notify.OK
	case lag.Critical:
		return notify.Critical
	}
	return notify.Warning
}
