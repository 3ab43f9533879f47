package holder

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/lease"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Etcd is the lease as etcd has it: see package lease.
type Etcd interface {
	Take(ctx context.Context, as lease.Holder) (state.Lease, error)
	Renew(ctx context.Context, l state.Lease) (state.Lease, error)
	Sign(ctx context.Context, l state.Lease, as lease.Holder) error
	Release(ctx context.Context, l state.Lease) error
	Holder(ctx context.Context) (h lease.Holder, found bool, err error)
}

const (
	// Grace is what waiting for another node's lease may take beyond the time that
	// it lasts: etcd ends it with some delay, more after an election.
	Grace = 10 * time.Second
	// lockName keeps the watcher, which renews the lease, from reviving a lease that
	// a transition has released.
	lockName = "lease"
	// recordTimeout bounds the wait for that lock.
	recordTimeout = 2 * time.Second
	// pollEvery is how often a lease that another node holds is asked for.
	pollEvery = 250 * time.Millisecond
	// Ever is the time left of a lease that is not needed.
	Ever = time.Duration(1<<63 - 1)
)

// Holder is this node as a holder of the lease.
type Holder struct {
	*self.Records
	etcd Etcd
}

// New returns the holder of a configuration; nil where it needs no lease.
func New(r *self.Records) *Holder {
	if !r.Config.Witness.Etcd.Configured() {
		return nil
	}
	return On(r, lease.New(r.Config.Witness.Etcd))
}

// On returns the holder of a lease in etcd.
func On(r *self.Records, etcd Etcd) *Holder { return &Holder{r, etcd} }

// Step does one step of a transition within its budget.
type Step func(ctx context.Context, name, object string, budget time.Duration, do func(context.Context) error) error

// Take waits until this node holds the lease: as long as a lease that is not renewed
// lasts. It waits for a moment only when etcd does not answer, or when the holder is
// seen to stay. promoted is when the promotion began. Take returns the revision of the
// lease; 0 where none is needed.
func (h *Holder) Take(ctx context.Context, step Step, promoted time.Time) (revision uint64, err error) {
	if h == nil {
		return 0, nil
	}
	patience := h.Config.Witness.Etcd.TTL + Grace
	err = step(ctx, "lease", "", patience+2*Grace, func(ctx context.Context) error {
		if watched, held := h.Watched(); !held {
			return &rules.RefusedError{Kind: state.IneligibleRefused, Text: "the watcher does not run, so nothing would renew the lease", What: "systemctl start understudy"}
		} else if !watched {
			return &rules.RefusedError{Kind: state.IneligibleRefused, Text: "the watcher hangs, so nothing would renew the lease", What: "systemctl restart understudy"}
		}
		l, err := h.await(ctx, promoted, patience)
		revision = l.Revision
		return err
	})
	return revision, err
}

// await takes the lease, again and again until patience is over.
func (h *Holder) await(ctx context.Context, promoted time.Time, patience time.Duration) (state.Lease, error) {
	began := h.Now()
	var silent time.Time
	var renewals lease.Renewals
	for {
		l, err := h.try(ctx)
		if err == nil || ctx.Err() != nil {
			return l, err
		}
		// Where etcd does not answer this node, it may answer another one.
		other, held := errors.AsType[*lease.HeldError](err)
		unheard := rules.Since(&silent, !held, h.Now(), 3*h.Config.Witness.Etcd.Timeout)
		// Meanwhile the virtual IP is here, where nothing answers.
		stays := held && stays(other.Holder) && renewals.Seen(other.Holder) && h.Now().Sub(promoted) > rules.ConflictAfter
		if stays || unheard || h.Now().Sub(began) > patience {
			return l, refusal(err)
		}
		if err := clock.Pause(ctx, pollEvery); err != nil {
			return l, err
		}
	}
}

// refusal refuses a promotion that could not get the lease.
func refusal(err error) error {
	refused := &rules.RefusedError{Kind: state.IneligibleRefused, Text: err.Error(), What: "it may take over once the lease is free; failover-notify status shows its holder"}
	if hint := exit.Hint(err); hint != "" {
		refused.What = hint
	}
	return refused
}

// stays reports whether a node that renews the lease will continue to. One that is
// becoming active may fail yet.
func stays(h lease.Holder) bool { return h.Term > 0 && !h.Stopping }

// try renews the lease that an earlier promotion has left, or takes one.
func (h *Holder) try(ctx context.Context) (state.Lease, error) {
	l, found, err := h.record()
	if err != nil {
		return l, err
	}
	if found && l.Lost == "" {
		l, err = h.etcd.Renew(ctx, l)
	}
	if _, lost := errors.AsType[*lease.LostError](err); lost || !found || l.Lost != "" {
		l, err = h.etcd.Take(ctx, h.as(0))
	}
	if err != nil {
		return l, err
	}
	return l, h.change(ctx, 0, &l)
}

func (h *Holder) as(term uint64) lease.Holder {
	return lease.Holder{Node: h.Self.Name, Boot: h.Boot, Term: term, Since: h.Now().UTC().Truncate(time.Second)}
}

// Sign records in etcd under which term this node is active. Nothing depends on it:
// a node that can't be asked is then known by the revision alone.
func (h *Holder) Sign(ctx context.Context, term uint64) {
	l, found := h.held()
	if !found {
		return
	}
	if err := h.etcd.Sign(ctx, l, h.as(term)); err != nil {
		h.Log.Warn().Err(err).Msg("term not recorded in etcd")
	}
}

// SignStopping records in etcd that this node is about to release the lease, so that
// another one waits for it. It does not wait for etcd. The function that it returns
// ends the attempt.
func (h *Holder) SignStopping(ctx context.Context, term uint64) (enough func()) {
	l, found := h.held()
	if !found || l.Lost != "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	as := h.as(term)
	as.Stopping = true
	go func() {
		if err := h.etcd.Sign(ctx, l, as); err != nil && ctx.Err() == nil {
			h.Log.Warn().Err(err).Msg("stopping not recorded in etcd")
		}
	}()
	return cancel
}

// Release returns the lease. It is called once nothing can be written here; if it
// fails, the lease expires.
func (h *Holder) Release() {
	l, found := h.held()
	if !found {
		return
	}
	// Also when the demotion has been turned round: the next promotion takes another
	// lease.
	ctx, cancel := context.WithTimeout(context.Background(), h.Config.Witness.Etcd.Timeout+recordTimeout)
	defer cancel()
	// The record first: the watcher must not renew a released lease.
	err := h.change(ctx, l.ID, nil)
	if err == nil && l.Lost == "" {
		err = h.etcd.Release(ctx, l)
	}
	if err != nil {
		h.Log.Warn().Err(err).Msg("lease not released: another node has to wait until it expires")
	}
}

// Left returns how long this node may still write; without a lease that is needed,
// for ever.
func (h *Holder) Left() time.Duration {
	l, found := h.held()
	if !found {
		return Ever
	}
	now, err := h.Clock.SinceBoot()
	if err != nil {
		return 0
	}
	return l.Left(now)
}

// Current returns who holds the lease, as etcd says. On the holder, Left is as it
// counts itself.
func (h *Holder) Current(ctx context.Context) (holder lease.Holder, found bool, err error) {
	if h == nil {
		return lease.Holder{}, false, nil
	}
	return h.etcd.Holder(ctx)
}

// held returns the lease that this node has by its own records; found is false where
// none is needed.
func (h *Holder) held() (l state.Lease, found bool) {
	if h == nil {
		return state.Lease{}, false
	}
	l, found, err := h.record()
	return l, found && err == nil
}

// record returns the lease that this node has by its own records.
func (h *Holder) record() (l state.Lease, found bool, err error) { return h.RunDir.Lease(h.Boot) }

// change replaces the record of the lease, if it still is the one with this id, or
// id is 0; nil removes it.
func (h *Holder) change(ctx context.Context, id int64, l *state.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	lock, err := h.State.WaitLock(ctx, lockName)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	now, found, err := h.record()
	if err != nil || id != 0 && (!found || now.ID != id) {
		return err
	}
	if l == nil {
		return h.RunDir.Remove(state.LeaseName)
	}
	return h.RunDir.Write(state.LeaseName, *l)
}
