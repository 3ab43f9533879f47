package watch

import (
	"context"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// lookAround looks after the virtual IP each second, also during a transition.
func (w *Watcher) lookAround(ctx context.Context) {
	tick := time.NewTicker(lookEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := w.guard(ctx); err != nil && ctx.Err() == nil {
				w.Log.Error().Err(err).Msg("guarding the virtual IP failed")
			}
			if err := w.Heartbeat(ctx); err != nil && ctx.Err() == nil {
				w.Log.Error().Err(err).Msg("heartbeat not recorded")
			}
			w.logAlerts()
		}
	}
}

// guard compares keepalived and the virtual IP with the newest request, and acts on
// the verdict.
func (w *Watcher) guard(ctx context.Context) error {
	if !w.Address.Configured() {
		return nil
	}
	f, err := w.find()
	if err != nil {
		return err
	}
	v := w.guards.Judge(f, w.Now())
	if v.Remove {
		w.Log.Warn().Msg("keepalived has stopped and left the virtual IP behind: removing it")
		if err := w.Address.Remove(ctx); err != nil {
			return err
		}
	}
	if v.Requested == "" {
		return nil
	}
	w.Log.Warn().Str("request", string(v.Requested)).Msg(v.Reason)
	if v.Again {
		return w.SubmitAgain(ctx, v.Requested, state.SourceGuard, v.Reason)
	}
	return w.Submit(ctx, v.Requested, state.SourceGuard, v.Reason)
}

func (w *Watcher) find() (f rules.Finding, err error) {
	if f.Keepalived, err = w.Address.KeepalivedRuns(); err != nil {
		return f, err
	}
	if f.Here, err = w.Address.Here(); err != nil {
		return f, err
	}
	request, found, err := w.Request()
	if err != nil || !found {
		return f, err
	}
	f.Requested, f.Own = request.Requested, request.Source == state.SourceOperator
	current, role, err := w.Role()
	f.Idle = err == nil && current == state.RoleStandby && role.RequestSeq == request.Seq && w.ShownEligible()
	return f, nil
}

// logAlerts logs alerts as they come.
func (w *Watcher) logAlerts() {
	alerts := w.Alerts()
	for _, a := range alerts {
		if !slices.Contains(w.alerts, a) {
			w.Log.Warn().Msg(a.String())
		}
	}
	w.alerts = alerts
}
