package announce

import (
	"context"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/metrics"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// attendEach is how often notifications are handled.
	attendEach = 2 * time.Second
	// measureEach is how often metrics are written: Prometheus asks less often.
	measureEach = 15 * time.Second
)

// attendant notifies the operator and Prometheus of the state of this node. It only
// reads records of the watcher, so nothing it waits for delays a change of the role.
type attendant struct {
	*self.Records
	spool    *notify.Spool
	history  *teller
	measured time.Time
	failing  int
	sending  sync.Mutex // held while a sender runs
	children sync.WaitGroup
}

// Attend works until ctx ends; the returned function waits for that.
func Attend(ctx context.Context, records *self.Records) (wait func()) {
	a := &attendant{Records: records, spool: notify.Open(records.Config, records.State), history: newTeller(records)}
	var working sync.WaitGroup
	working.Go(func() {
		tick := time.NewTicker(attendEach)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				a.children.Wait()
				return
			case <-tick.C:
				a.once(ctx)
			}
		}
	})
	return working.Wait
}

func (a *attendant) once(ctx context.Context) {
	described, err := a.Describe()
	if err != nil {
		a.Log.Warn().Err(err).Msg("cannot describe this node")
		return
	}
	if a.spool != nil {
		notices, err := a.history.Notices(described)
		if err != nil {
			a.Log.Warn().Err(err).Msg("some changes of the role are not announced")
		}
		for _, n := range notices {
			if err := a.spool.Put(n); err != nil {
				a.Log.Warn().Err(err).Msg("a notice is not queued")
			}
		}
		a.send(ctx)
	}
	if now := a.Now(); now.Sub(a.measured) >= measureEach && a.Config.Metrics.TextfileDir != "" {
		a.measured = now
		if err := a.figures(described).Write(a.Config.Metrics.TextfileDir); err != nil {
			a.Log.Warn().Err(err).Msg("metrics not written")
		}
	}
}

// send sorts new notices. It has another process send them if a channel would accept a
// message now.
func (a *attendant) send(ctx context.Context) {
	if !a.spool.Pending() || !a.sending.TryLock() {
		return
	}
	a.children.Go(func() {
		defer a.sending.Unlock()
		due, err := a.sort()
		if err == nil && due {
			err = a.spool.Deliver(ctx, a.Runner, a.Config.File())
		}
		failing := len(a.spool.Health().Failing)
		if err != nil && ctx.Err() == nil && (failing == 0 || failing != a.failing) {
			a.Log.Warn().Err(err).Msg("notifications wait")
		}
		a.failing = failing
	})
}

// sort takes new notices in, and reports whether a message waits for a channel that is
// to be tried.
func (a *attendant) sort() (bool, error) {
	lock, err := a.State.Lock(notify.LockName)
	if err != nil {
		return false, nil //nolint:nilerr // another sender is at it
	}
	defer lock.Unlock()
	if _, err := a.spool.Sort(a.Now()); err != nil {
		return false, err
	}
	messages, err := a.spool.Outbox(a.Now())
	if err != nil || len(messages) == 0 {
		return false, err
	}
	return a.spool.AnyDue(messages, a.Now())
}

// figures are this node's metrics.
func (a *attendant) figures(p rules.PeerState) *metrics.Set {
	set := metrics.New(metrics.Failover)
	for _, role := range []state.Role{state.RoleActive, state.RoleStandby, state.RolePromoting, state.RoleDemoting, state.RoleFault, state.RoleUnknown} {
		set.Bool("understudy_role", p.Role == role, role.String())
	}
	set.Add("understudy_term", float64(p.Term))
	set.Add("understudy_newest_term", float64(p.NewestTerm))
	set.Bool("understudy_eligible", p.Eligible)
	set.Bool("understudy_holds_address", p.HoldsAddress)
	set.Add("understudy_alerts", float64(len(p.Alerts)))
	set.Time("understudy_watch_timestamp_seconds", a.Now())
	if h := a.spool.Health(); h != nil {
		failing := len(h.Failing)
		if h.Problem != "" { // none can be used
			failing = max(1, h.Channels)
		}
		set.Add("understudy_notify_failing_channels", float64(failing))
		set.Add("understudy_notify_waiting_messages", float64(h.Waiting))
	}
	if t := p.Transition; t != nil && !t.Ended.IsZero() {
		set.Time("understudy_last_transition_timestamp_seconds", t.Ended)
		set.Add("understudy_last_transition_duration_seconds", t.Ended.Sub(t.Started).Seconds())
		set.Bool("understudy_last_transition_success", t.Outcome == state.OutcomeDone)
	}
	if check, found, err := a.RunDir.Probe(); err == nil && found {
		set.Bool("understudy_check_healthy", check.Healthy)
		set.Time("understudy_check_last_run_timestamp_seconds", check.Time)
	}
	return set
}
