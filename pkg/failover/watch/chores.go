package watch

import (
	"context"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// retryAfter is how long after a demotion that left something behind it is
	// tried again.
	retryAfter = 10 * time.Second
	// lookAtServices is how often a node that is not active checks for running
	// containers.
	lookAtServices = 3 * time.Second
	// The others are asked often while something depends on it, and else so
	// seldom that their logs stay readable.
	askSoon, askSeldom = 3 * time.Second, time.Minute
	// askAtOnce bounds how often they are asked about news.
	askAtOnce = time.Second
)

// chores runs while nothing is requested. A chore that fails is repeated.
func (w *Watcher) chores(ctx context.Context) {
	role, err := w.State.Role()
	if err != nil {
		w.Log.Error().Err(err).Msg("the role is unreadable")
		return
	}
	unfinished := func(f state.RoleFile) bool { return rules.Unfinished(f, w.Boot) }
	if unfinished(role) && w.Now().Sub(role.Transition.Ended) >= retryAfter {
		if err := w.DemoteAgain(ctx, unfinished, "leftovers of the last demotion"); err != nil && ctx.Err() == nil {
			w.Log.Error().Err(err).Msg("demoting again failed")
		}
	}
	if err := w.keepStopped(ctx, role); err != nil && ctx.Err() == nil {
		w.Log.Error().Err(err).Msg("stopping stray containers failed")
	}
	if err := w.askAround(ctx, role); err != nil && ctx.Err() == nil {
		w.Log.Error().Err(err).Msg("weighing the other nodes' answers failed")
	}
}

// keepStopped stops containers on a node that is not active: an engine that was killed
// or frozen revives them, and people start some.
func (w *Watcher) keepStopped(ctx context.Context, role state.RoleFile) error {
	current := role.In(w.Boot)
	idle := current == state.RoleStandby || current == state.RoleFault
	if !idle || !w.HasServices() || w.Now().Sub(w.looked) < lookAtServices {
		return nil
	}
	w.looked = w.Now()
	ctx2, cancel := context.WithTimeout(ctx, w.Config.Failover.PeerTimeout)
	running, err := w.Services.Running(ctx2, nil)
	cancel()
	if err != nil || len(running) == 0 {
		// An engine that is down runs nothing new; the next look is soon.
		return nil //nolint:nilerr
	}
	w.Log.Warn().Str("container", running[0].Name).Int("running", len(running)).Msg("containers run on a node that is not active: stopping them")
	return w.DemoteAgain(ctx, func(now state.RoleFile) bool { return now.In(w.Boot) == current && now.Since.Equal(role.Since) }, "containers had been started")
}

// askAround asks the other nodes now and then: the eligibility of this node depends on
// it, and it notices two active nodes.
func (w *Watcher) askAround(ctx context.Context, role state.RoleFile) error {
	every, err := w.askEvery(role)
	if err != nil || w.Now().Sub(w.asked) < every {
		return err
	}
	w.news = false
	ctx, cancel := context.WithTimeout(ctx, w.Config.Failover.PeerTimeout)
	defer cancel()
	answers := w.AskAll(ctx)
	w.asked = w.Now()
	peers, silent := failover.Answered(answers)
	if err := w.settleConflict(ctx, role, peers); err != nil {
		return err
	}
	lock, err := w.LockRole(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := w.Learn(answers); err != nil {
		return err
	}
	if role, err = w.State.Role(); err != nil {
		return err
	}
	w.open = rules.Unsettled(role, w.Boot, peers, silent)
	return w.Weigh(ctx, answers)
}

// askEvery returns how often the others are asked at the moment.
func (w *Watcher) askEvery(role state.RoleFile) (time.Duration, error) {
	eligibility, _, err := w.State.Eligibility()
	if err != nil {
		return 0, err
	}
	every := askSeldom
	if slices.ContainsFunc(eligibility.Reasons, func(r state.Ineligible) bool { return !rules.Lasting(r) }) {
		every = askSoon
	}
	switch {
	case !w.both.IsZero():
		every = askAtOnce
	case w.open:
		every = askSoon
	}
	if w.news && (every == askSoon || role.Role == state.RoleActive) {
		every = min(every, askAtOnce)
	}
	return every, nil
}
