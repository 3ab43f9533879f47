package announce

import (
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// toldName is the state name of the end of the last announced transition.
const toldName = "history-told"

// How long a problem must last before the operator is notified: it may pass.
const (
	alertWait = time.Minute      // keepalived and the check have just been started
	faultWait = time.Minute      // a service that is restarted
	soonWait  = 15 * time.Minute // a node that waits for another one
)

// teller turns the history and the state of a node into notices: each change of its
// role once, and its problems. No two nodes announce the same change: the node that
// became active does.
type teller struct {
	node *self.Records
	told time.Time // the end of the last transition that was told
}

// newTeller returns the teller of this node. The history before its first use is not
// announced.
func newTeller(n *self.Records) *teller {
	t := &teller{node: n}
	if found, err := n.State.Read(toldName, &t.told); err != nil || !found {
		t.told = n.Now()
		// Else a restart of the watcher would skip the changes until then.
		if err := n.State.Write(toldName, t.told); err != nil {
			n.Log.Warn().Err(err).Msg("the last announced change is not recorded")
		}
	}
	return t
}

// Notices returns the notices that are due.
func (t *teller) Notices(p rules.PeerState) ([]notify.Notice, error) {
	notices := []notify.Notice{t.condition(p)}
	history, err := t.node.State.History()
	if err != nil {
		return notices, err
	}
	newest := t.told
	for i, past := range history {
		if !past.Ended.After(t.told) {
			continue
		}
		newest = past.Ended
		if i > 0 && repeats(history[i-1], past) {
			continue
		}
		if n, ok := t.event(past); ok {
			notices = append(notices, n)
		}
	}
	if newest.After(t.told) {
		t.told = newest
		err = t.node.State.Write(toldName, newest)
	}
	return notices, err
}

// repeats reports whether a promotion failed for the same reason as the one before.
func repeats(before, now state.Past) bool {
	return before.To == now.To && before.Outcome == now.Outcome && before.Error == now.Error && now.Outcome == state.OutcomeFailed
}

// passedOver returns the nodes that were up and did not answer, with why.
func passedOver(past state.Past) (texts []string) {
	for _, s := range past.Steps {
		if s.Name == rules.AskStep && s.Outcome == state.OutcomeSkipped {
			texts = append(texts, s.Object+" was "+s.Error)
		}
	}
	return texts
}

// event returns the notice of a transition, if it is worth one.
func (t *teller) event(past state.Past) (notify.Notice, bool) {
	name := t.node.Self.Name
	n := notify.Notice{From: "failover-notify", Time: past.Ended, Node: name, Role: past.To.String(), Term: past.Term}
	if past.To != state.RoleActive || past.Outcome == state.OutcomeInterrupted {
		return n, false
	}
	n.Text = []string{fmt.Sprintf("%s, from %s in %s", past.Reason, past.From, report.Duration(past.Ended.Sub(past.Started)))}
	passed := passedOver(past)
	n.Text = append(n.Text, passed...)
	switch past.Outcome {
	case state.OutcomeDone:
		n.Level, n.Title = notify.Info, fmt.Sprintf("%s is active now (term %d)", name, past.Term)
		if len(passed) > 0 {
			n.Level, n.Hint = notify.Warning, "make sure that nothing runs there, or switch it off; failover-notify doctor on "+name+" shows why it can't be asked"
		}
		return n, true
	case state.OutcomePartial:
		n.Level, n.Title = notify.Warning, fmt.Sprintf("%s is active now (term %d), but not everything runs", name, past.Term)
		n.Hint = "failover-notify status --transition on " + name + " shows each step"
	default:
		n.Level, n.Title = notify.Critical, name+" could not become active"
		n.Role = past.From.String()
		n.Hint = "failover-notify status on " + name + "; correct the cause, then failover-notify release"
	}
	if past.Error != "" {
		n.Text = append(n.Text, past.Error)
	}
	for _, s := range past.Steps {
		if s.Outcome == state.OutcomeFailed {
			n.Text = append(n.Text, fmt.Sprintf("%s %s: %s", s.Name, s.Object, s.Error))
		}
	}
	return n, true
}

// condition returns the notice of the problems of the node.
func (t *teller) condition(p rules.PeerState) notify.Notice {
	n := notify.Notice{Key: "node/" + p.Node, From: "failover-notify", Level: notify.OK, Time: p.Time, Node: p.Node, Role: p.Role.String(), Term: p.Term}
	n.Title = p.Node + " is healthy"
	add := func(level notify.Level, wait time.Duration, title, hint string) {
		if n.Level == notify.OK || level == notify.Critical && n.Level != notify.Critical {
			if n.Level != notify.OK {
				n.Text = append(n.Text, n.Title)
			}
			n.Level, n.Wait, n.Title, n.Hint = level, wait, title, hint
			return
		}
		n.Text = append(n.Text, title)
	}
	for _, r := range p.Reasons {
		switch r.Kind {
		case state.IneligibleConflict, state.IneligiblePromotion:
			add(notify.Critical, 0, fmt.Sprintf("%s can't take over: %s", p.Node, r.Text), "failover-notify status shows details; once the cause is fixed: failover-notify release")
		case state.IneligibleHold:
		default:
			add(notify.Warning, soonWait, fmt.Sprintf("%s can't take over yet: %s", p.Node, r.Text), "failover-notify status shows details")
		}
	}
	if p.Role == state.RoleFault {
		add(notify.Warning, faultWait, fmt.Sprintf("%s is in fault: %s", p.Node, p.Reason), "track-traefik --explain on "+p.Node+" shows what is unhealthy")
	}
	for _, alert := range p.Alerts {
		add(notify.Warning, alertWait, p.Node+": "+alert, "failover-notify doctor on "+p.Node)
	}
	return n
}
