package watch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/alert"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/state"
)

// lookEach is how often the watcher looks around.
const lookEach = time.Second

// Watcher is the resident process that follows requests at once and corrects what
// hooks miss.
type Watcher struct {
	*failover.Node
	// Changes opens what reports that a record has changed.
	Changes func(*self.Records) (Changes, error)

	guards rules.Guards
	alerts []alert.Alert // as they were logged last
	asked  time.Time     // when the others were last asked
	looked time.Time     // when the services were last looked at
	news   bool          // something has come that may be a reason to ask the others at once
	open   bool          // the others have to be asked again soon: see rules.Unsettled
	both   time.Time     // since when two nodes have been seen active
}

// New returns the watcher of a node.
func New(n *failover.Node) *Watcher { return &Watcher{Node: n, Changes: Inotify} }

// Watch follows every request as it comes, and looks around each second, until
// ctx ends. Only one process of a node does so.
func (w *Watcher) Watch(ctx context.Context) error {
	lock, err := w.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	changes, err := w.Changes(w.Records)
	if err != nil {
		return err
	}
	defer changes.Close()
	if err := errors.Join(w.Heartbeat(ctx), w.Host.NotifySystemd(ctx, "READY=1")); err != nil {
		w.Log.Warn().Err(err).Msg("the watcher's start is not reported")
	}
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() { w.lookAround(ctx) })
	looking.Go(func() { w.Lease.Renew(ctx) })
	for ctx.Err() == nil {
		if err := w.settle(ctx); err != nil && ctx.Err() == nil {
			w.Log.Error().Err(err).Msg("the role change failed")
		}
		w.idle(ctx, changes)
	}
	return nil
}

// lock takes the lock of the watcher. A process that checks the lock holds it for a
// moment.
func (w *Watcher) lock(ctx context.Context) (*state.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return w.State.WaitLock(ctx, self.WatchLock)
}

// settle gives the node the role that the newest request asks for. Nothing is locked
// when it has it already.
func (w *Watcher) settle(ctx context.Context) error {
	request, found, err := w.Request()
	if err != nil || !found {
		return err
	}
	role, err := w.State.Role()
	if err != nil || rules.Answered(role, w.Boot, request) {
		return err
	}
	err = w.Reconcile(ctx)
	w.asked = time.Time{}
	return err
}

// idle does the chores and returns after a second, or at once when a request is
// recorded, which no chore may delay.
func (w *Watcher) idle(ctx context.Context, changes Changes) {
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
		case file := <-changes.Files():
			switch file {
			case state.RequestFile:
				news = true // keepalived repeats itself when it hears another master
				return
			case state.ReceivedName + ".json", state.HeardName + ".json":
				news = true
			}
		case err := <-changes.Errors():
			w.Log.Warn().Err(err).Msg("a request may be seen up to a second late")
		case <-second.C:
			passed = true
		case <-finished:
			finished = nil
		}
	}
}
