package failover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/lease"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Lease is what a node needs to be active where witness.etcd is configured: see
// package lease.
type Lease interface {
	Take(ctx context.Context, as lease.Holder) (state.Lease, error)
	Renew(ctx context.Context, l state.Lease) (state.Lease, error)
	Sign(ctx context.Context, l state.Lease, as lease.Holder) error
	GiveBack(ctx context.Context, l state.Lease) error
	Holder(ctx context.Context) (h lease.Holder, found bool, err error)
}

const (
	// leaseGrace is what waiting for another node's lease may take beyond the time
	// that it lasts: etcd ends it with some delay, more after an election.
	leaseGrace = 10 * time.Second
	// leaseLock keeps the watcher, which renews the lease, from bringing back
	// what a transition has given up.
	leaseLock = "lease"
)

// lease returns the lease that this node has by its own records.
func (n *Node) lease() (l state.Lease, found bool, err error) {
	dir, err := state.Open(n.Config.RunDir)
	if err != nil {
		return state.Lease{}, false, err
	}
	return dir.Lease(n.Boot)
}

// changeLease replaces the record of the lease, if it is still the one that
// change is about; nil removes it.
func (n *Node) changeLease(ctx context.Context, id int64, l *state.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	lock, err := n.State.WaitLock(ctx, leaseLock)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	now, found, err := n.lease()
	if err != nil || id != 0 && (!found || now.ID != id) {
		return err
	}
	if l == nil {
		return os.Remove(filepath.Join(n.Config.RunDir, state.LeaseName+".json"))
	}
	dir, err := state.Open(n.Config.RunDir)
	if err != nil {
		return err
	}
	return dir.Write(state.LeaseName, *l)
}

// takeLease waits until this node has the lease, for as long as one that is not
// renewed lasts, or for a moment when etcd does not answer or the holder is seen to
// stay. It returns the revision that goes with it; 0 where no lease is needed.
func (n *Node) takeLease(ctx context.Context, t *transition) (revision uint64, err error) {
	if n.Lease == nil {
		return 0, nil
	}
	patience := n.Config.Witness.Etcd.TTL + leaseGrace
	err = t.step(ctx, "lease", "", patience+2*leaseGrace, func(ctx context.Context) error {
		if watched, held := watchedIn(n.Boot, n.Config, n.State); !held {
			return &RefusedError{state.IneligibleRefused, "the watcher does not run, and nobody else would renew the lease", "systemctl start understudy"}
		} else if !watched {
			return &RefusedError{state.IneligibleRefused, "the watcher does not move, and nobody else would renew the lease", "systemctl restart understudy"}
		}
		l, err := n.awaitLease(ctx, t.current().Transition.Started, patience)
		revision = l.Revision
		return err
	})
	return revision, err
}

// awaitLease is takeLease for a promotion that began then.
func (n *Node) awaitLease(ctx context.Context, promoted time.Time, patience time.Duration) (state.Lease, error) {
	began := n.Now()
	var silent time.Time
	var renewals lease.Renewals
	for {
		l, err := n.tryLease(ctx)
		if err == nil || ctx.Err() != nil {
			return l, err
		}
		// Where etcd does not answer this node, it may answer another one.
		other, held := errors.AsType[*lease.HeldError](err)
		unheard := since(&silent, !held, n.Now(), 3*n.Config.Witness.Etcd.Timeout)
		// Meanwhile the address is here, where nothing answers.
		stays := held && stays(other.Holder) && renewals.Seen(other.Holder) && n.Now().Sub(promoted) > conflictAfter
		if stays || unheard || n.Now().Sub(began) > patience {
			refused := &RefusedError{state.IneligibleRefused, err.Error(), "it may take over once it can have the lease; failover-notify status shows who has it"}
			if hinted, ok := errors.AsType[interface {
				error
				Hint() string
			}](err); ok {
				refused.What = hinted.Hint()
			}
			return l, refused
		}
		if err := pause(ctx, pollPeer); err != nil {
			return l, err
		}
	}
}

// stays says that a node which renews the lease goes on to have it. One that is
// becoming active may come to nothing yet.
func stays(h lease.Holder) bool { return h.Term > 0 && !h.Stopping }

// tryLease renews the lease that a promotion before this one has left, or takes
// one.
func (n *Node) tryLease(ctx context.Context) (state.Lease, error) {
	l, found, err := n.lease()
	if err != nil {
		return l, err
	}
	if found && l.Lost == "" {
		l, err = n.Lease.Renew(ctx, l)
	}
	if _, lost := errors.AsType[*lease.LostError](err); lost || !found || l.Lost != "" {
		l, err = n.Lease.Take(ctx, n.asHolder(0))
	}
	if err != nil {
		return l, err
	}
	return l, n.changeLease(ctx, 0, &l)
}

func (n *Node) asHolder(term uint64) lease.Holder {
	return lease.Holder{Node: n.Self.Name, Boot: n.Boot, Term: term, Since: n.Now().UTC().Truncate(time.Second)}
}

// signLease says in etcd under which term this node is active. Nothing depends on
// it: a node that can't be asked is then known by the revision alone.
func (n *Node) signLease(ctx context.Context, term uint64) {
	l, found, err := n.lease()
	if n.Lease == nil || err != nil || !found {
		return
	}
	if err := n.Lease.Sign(ctx, l, n.asHolder(term)); err != nil {
		n.Log.Warn().Err(err).Msg("the term is not recorded in etcd")
	}
}

// sayStopping says in etcd that this node is about to give the lease back, so
// that another one waits for it. Nothing here waits for etcd; what has not been said
// when the function that it returns is called, is not said any more.
func (n *Node) sayStopping(ctx context.Context, term uint64) (enough func()) {
	l, found, err := n.lease()
	if n.Lease == nil || err != nil || !found || l.Lost != "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	as := n.asHolder(term)
	as.Stopping = true
	go func() {
		if err := n.Lease.Sign(ctx, l, as); err != nil && ctx.Err() == nil {
			n.Log.Warn().Err(err).Msg("that this node is stopping is not recorded in etcd")
		}
	}()
	return cancel
}

// giveLeaseBack lets another node have the lease at once. It is called when
// nothing can be written here any more; if it fails, the lease ends by itself.
func (n *Node) giveLeaseBack() {
	l, found, err := n.lease()
	if n.Lease == nil || err != nil || !found {
		return
	}
	// Also when the demotion has been turned round: what comes next takes another.
	ctx, cancel := context.WithTimeout(context.Background(), n.Config.Witness.Etcd.Timeout+recordTimeout)
	defer cancel()
	// The record first: the watcher must not renew what is given back.
	err = n.changeLease(ctx, l.ID, nil)
	if err == nil && l.Lost == "" {
		err = n.Lease.GiveBack(ctx, l)
	}
	if err != nil {
		n.Log.Warn().Err(err).Msg("the lease is not given back: another node has to wait until it ends")
	}
}

// leaseLeft is how long this node may still write; without a lease that is
// needed, for ever.
func (n *Node) leaseLeft() time.Duration {
	const ever = time.Duration(1<<63 - 1)
	l, found, err := n.lease()
	if n.Lease == nil || err != nil || !found {
		return ever
	}
	now, err := clock.System().SinceBoot()
	if err != nil {
		return 0
	}
	return l.Left(now)
}

// byLease puts in what the lease says of nodes that don't answer: its holder is
// active, also when it can't be reached from here.
func (n *Node) byLease(ctx context.Context, answers []Answer) {
	_, silent := answered(answers)
	if n.Lease == nil || len(silent) == 0 {
		return
	}
	holder, found, err := n.Lease.Holder(ctx)
	if err != nil || !found {
		return
	}
	for i, a := range answers {
		if a.Err == nil || a.Node.Name != holder.Node {
			continue
		}
		term := max(holder.Term, holder.Revision)
		answers[i] = Answer{Node: a.Node, State: PeerState{Node: holder.Node, Role: state.RoleActive, Term: term, NewestTerm: term,
			ActiveTerm: term, Writers: true, Since: holder.Since, Boot: holder.Boot, Time: n.Now(), ByLease: true,
			Reason: fmt.Sprintf("it has the lease, but does not answer: %v", a.Err)}}
	}
}

// newLease returns the lease of a configuration, nil where there is none.
func newLease(cfg *config.Config) Lease {
	if !cfg.Witness.Etcd.Configured() {
		return nil
	}
	return lease.New(cfg.Witness.Etcd)
}
