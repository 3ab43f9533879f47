package failover

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// lookEach is how often the watcher looks around.
	lookEach = time.Second
	// retryAfter is how long after a demotion that left something behind it is
	// tried again.
	retryAfter = 10 * time.Second
	// lookAtServices is how often a node that is not active looks whether
	// something runs.
	lookAtServices = 3 * time.Second
	// The others are asked often while something depends on it, and else so
	// seldom that their logs stay readable.
	askSoon, askSeldom = 3 * time.Second, time.Minute
	// askAtOnce bounds how often they are asked for what has just come.
	askAtOnce = time.Second
)

// receivedFile is what zfs-replicate writes when something has been received: what
// was missing for this node to be eligible.
const receivedFile = "received.json"

// watcher is the resident process that answers requests at once and puts right
// what no hook has told.
type watcher struct {
	*Node
	guard  guard
	asked  time.Time // when the others were asked last
	looked time.Time // when the services were looked at last
	alerts []string  // as they were logged last
	news   bool      // something has come that may be a reason to ask the others at once
	open   bool      // what the others have said is not all there is to hear: see unsettled
	both   time.Time // since when another node has been seen active beside this one
}

// Watch answers every request as it comes, and looks around each second, until
// ctx ends. Only one process of a node does so.
func (n *Node) Watch(ctx context.Context) error {
	lock, err := n.lockWatch(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	changes, err := n.watchState()
	if err != nil {
		return err
	}
	defer changes.Close()
	w := &watcher{Node: n}
	if err := errors.Join(n.beats(ctx), tellSystemd(ctx, "READY=1")); err != nil {
		n.Log.Warn().Err(err).Msg("that the watcher runs is not known everywhere")
	}
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() { w.lookAround(ctx) })
	looking.Go(func() { n.keepLease(ctx) })
	for ctx.Err() == nil {
		if err := w.settle(ctx); err != nil && ctx.Err() == nil {
			n.Log.Error().Err(err).Msg("the role is not what was asked for")
		}
		w.idle(ctx, changes)
	}
	return nil
}

// lockWatch takes the watcher's lock. Those who look whether somebody has it
// hold it for a moment.
func (n *Node) lockWatch(ctx context.Context) (*state.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return n.State.WaitLock(ctx, WatchLock)
}

// requests tells when an request is recorded, and what else a chore may be due for.
func (n *Node) watchState() (*fsnotify.Watcher, error) {
	passing, err := state.Open(n.Config.RunDir)
	if err != nil {
		return nil, err
	}
	changes, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", n.State.Path(), err)
	}
	for _, path := range []string{n.State.Path(), passing.Path()} {
		if err := changes.Add(path); err != nil {
			return nil, errors.Join(fmt.Errorf("watch %s: %w", path, err), changes.Close())
		}
	}
	return changes, nil
}

// idle does the chores and returns after a second, or at once when an request is
// recorded, which no chore may delay.
func (w *watcher) idle(ctx context.Context, changes *fsnotify.Watcher) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.chores(ctx)
	}()
	news := false
	defer func() {
		cancel()
		<-done
		w.news = w.news || news // the chores look at it
	}()
	second := time.NewTimer(lookEach)
	defer second.Stop()
	for finished, passed := done, false; finished != nil || !passed; {
		select {
		case <-ctx.Done():
			return
		case event := <-changes.Events:
			if !event.Has(fsnotify.Create) {
				continue
			}
			switch filepath.Base(event.Name) {
			case state.RequestFile:
				news = true // keepalived repeats itself when it hears another master
				return
			case receivedFile, heardName + ".json":
				news = true
			}
		case err := <-changes.Errors:
			w.Log.Warn().Err(err).Msg("an request may be seen up to a second late")
		case <-second.C:
			passed = true
		case <-finished:
			finished = nil
		}
	}
}

// settle makes the node what the newest request asks for. Nothing is locked when
// it is that already.
func (w *watcher) settle(ctx context.Context) error {
	request, found, err := w.request()
	if err != nil || !found {
		return err
	}
	role, err := w.State.Role()
	if err != nil {
		return err
	}
	if role.Boot == w.Boot && role.RequestSeq == request.Seq && settled(role.Role) {
		return nil
	}
	err = w.Reconcile(ctx)
	w.asked = time.Time{}
	return err
}

// lookAround looks after the address each second, also during a transition.
func (w *watcher) lookAround(ctx context.Context) {
	tick := time.NewTicker(lookEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := w.guards(ctx); err != nil && ctx.Err() == nil {
				w.Log.Error().Err(err).Msg("looking after the floating address failed")
			}
			if err := w.beats(ctx); err != nil && ctx.Err() == nil {
				w.Log.Error().Err(err).Msg("that the watcher moves is not known everywhere")
			}
			w.report()
		}
	}
}

// chores are what is done while nothing is asked for. What fails is tried again.
func (w *watcher) chores(ctx context.Context) {
	role, err := w.State.Role()
	if err != nil {
		w.Log.Error().Err(err).Msg("the role is not known")
		return
	}
	if unfinished(role) && role.Boot == w.Boot && w.Now().Sub(role.Transition.Ended) >= retryAfter {
		if err := w.again(ctx, unfinished, "what was left before"); err != nil && ctx.Err() == nil {
			w.Log.Error().Err(err).Msg("giving up what is left failed again")
		}
	}
	if err := w.keepStopped(ctx, role); err != nil && ctx.Err() == nil {
		w.Log.Error().Err(err).Msg("stopping what runs on a node that is not active failed")
	}
	if err := w.askAround(ctx, role); err != nil && ctx.Err() == nil {
		w.Log.Error().Err(err).Msg("weighing what the other nodes say failed")
	}
}

// keepStopped stops what has come back on a node that is not active: an engine
// that was killed or frozen revives its containers, and people start some.
func (w *watcher) keepStopped(ctx context.Context, role state.RoleFile) error {
	idle := role.Boot == w.Boot && (role.Role == state.RoleStandby || role.Role == state.RoleFault)
	if !idle || !w.hasServices() || w.Now().Sub(w.looked) < lookAtServices {
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
	w.Log.Warn().Str("container", running[0].Name).Int("running", len(running)).Msg("something runs though this node is not active: it is stopped")
	return w.again(ctx, func(now state.RoleFile) bool { return now.Role == role.Role && now.Since.Equal(role.Since) }, "something had been started")
}

// again demotes a node that was demoted before, if its role is still one that
// fits.
func (n *Node) again(ctx context.Context, fits func(state.RoleFile) bool, why string) error {
	lock, err := n.State.WaitLock(ctx, reconcileLock)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	return n.demoteAgain(ctx, fits, why)
}

// demoteAgain is again under its lock.
func (n *Node) demoteAgain(ctx context.Context, fits func(state.RoleFile) bool, why string) error {
	role, err := n.State.Role()
	if err != nil || role.Boot != n.Boot || !fits(role) {
		return err
	}
	to := role.Role
	if unfinished(role) {
		to = role.Transition.To
	}
	return n.demote(ctx, role, state.Request{Seq: role.RequestSeq, Requested: state.RequestFault, Source: state.SourceGuard, Reason: why}, to)
}

// askAround asks the other nodes now and then: whether this one may hold the
// address depends on it, and two that are active are noticed.
func (w *watcher) askAround(ctx context.Context, role state.RoleFile) error {
	eligibility, _, err := w.State.Eligibility()
	if err != nil {
		return err
	}
	every := askSeldom
	if slices.ContainsFunc(eligibility.Reasons, func(r state.Ineligible) bool { return !slices.Contains(lasting, r.Kind) }) {
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
	if w.Now().Sub(w.asked) < every {
		return nil
	}
	w.news = false
	ctx, cancel := context.WithTimeout(ctx, w.Config.Failover.PeerTimeout)
	defer cancel()
	answers := w.askAll(ctx)
	w.asked = w.Now()
	peers, _ := answered(answers)
	if err := w.settleConflict(ctx, role, peers); err != nil {
		return err
	}
	lock, err := w.State.WaitLock(ctx, reconcileLock)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := w.learn(answers); err != nil {
		return err
	}
	if w.open, err = w.unsettled(answers); err != nil {
		return err
	}
	return w.weigh(ctx, answers)
}

// unsettled says whether the others have to be asked again soon. An active node
// does while what they say of themselves does not fit that yet: one has not stopped
// writing, or has used a newer term. Another one does until it has heard of an
// active node: whether its own data is old depends on that.
func (n *Node) unsettled(answers []Answer) (bool, error) {
	role, err := n.State.Role()
	if err != nil {
		return false, err
	}
	peers, silent := answered(answers)
	if role.Role != state.RoleActive || role.Boot != n.Boot {
		return !slices.ContainsFunc(peers, func(p PeerState) bool { return p.Role == state.RoleActive }), nil
	}
	writer := slices.ContainsFunc(peers, func(p PeerState) bool { return p.Writers })
	return writer || len(silent) == 0 && role.NewestTerm > role.Term, nil
}

// report logs alerts as they come and go.
func (w *watcher) report() {
	alerts := w.Node.alerts()
	for _, a := range alerts {
		if !slices.Contains(w.alerts, a) {
			w.Log.Warn().Msg(a)
		}
	}
	w.alerts = alerts
}
