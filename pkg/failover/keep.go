package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/lease"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// lookAtLease is how often the watcher looks how long the lease lasts.
	lookAtLease = 200 * time.Millisecond
	// lastMoment is how long before the lease ends the datasets become read-only,
	// however far stopping the services has come.
	lastMoment = 2 * time.Second
)

// keeper renews the lease of an active node, and sees that a node which can't
// renew it gives up in time.
type keeper struct {
	*Node
	missing time.Time // since when an active node has been without
	givenUp bool      // that it has to give up has been recorded
	failed  string    // why the lease could not be renewed last
}

// keepLease renews the lease until ctx ends. Looking at the time waits for
// nobody: etcd may hang.
func (n *Node) keepLease(ctx context.Context) {
	if n.Lease == nil {
		return
	}
	k := &keeper{Node: n}
	failures := make(chan string, 1)
	go k.renewAll(ctx, failures)
	tick := time.NewTicker(lookAtLease)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case k.failed = <-failures:
		case <-tick.C:
			if err := k.look(ctx); err != nil && ctx.Err() == nil {
				n.Log.Error().Err(err).Msg("giving up in time is not certain")
			}
		}
	}
}

// renewAll renews the lease again and again, and tells what has kept it from
// that.
func (k *keeper) renewAll(ctx context.Context, failures chan<- string) {
	tick := time.NewTicker(k.Config.Witness.Etcd.RenewEvery())
	defer tick.Stop()
	last := ""
	for {
		text := ""
		if err := k.renew(ctx); err != nil {
			text = err.Error()
		}
		if ctx.Err() == nil && text != last {
			if text == "" {
				k.Log.Info().Msg("the lease is renewed again")
			} else {
				k.Log.Warn().Msg("the lease is not renewed: " + text)
			}
			last = text
		}
		select {
		case <-ctx.Done():
			return
		case failures <- text:
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renew renews the lease while this node may write; an active one that has none,
// since it was active before a lease was needed, takes it if it is free.
func (k *keeper) renew(ctx context.Context) error {
	role, err := k.State.Role()
	if err != nil || !k.needsLease(role) {
		return err
	}
	l, found, err := k.lease()
	if err != nil {
		return err
	}
	if !found {
		if role.Role != state.RoleActive {
			return nil // its promotion takes one, or its demotion has given it back
		}
		if l, err = k.Lease.Take(ctx, k.asHolder(role.Term)); err != nil {
			return err
		}
		return k.changeLease(ctx, 0, &l)
	}
	if l.Lost != "" {
		return errors.New(l.Lost)
	}
	renewed, err := k.Lease.Renew(ctx, l)
	if lost, ok := errors.AsType[*lease.LostError](err); ok {
		l.Lost = lost.Error()
		return errors.Join(err, k.changeLease(ctx, l.ID, &l))
	}
	if err != nil {
		return err
	}
	return k.changeLease(ctx, l.ID, &renewed)
}

// needsLease says whether a node with this role may write, or is about to.
func (k *keeper) needsLease(role state.RoleFile) bool {
	if role.Boot != k.Boot {
		return false
	}
	return role.Role == state.RoleActive || role.Role == state.RolePromoting || role.Role == state.RoleDemoting
}

// look gives up when the lease will end before it is renewed.
func (k *keeper) look(ctx context.Context) error {
	role, err := k.State.Role()
	if err != nil {
		return err
	}
	if role.Boot != k.Boot || role.Role != state.RoleActive && role.Role != state.RolePromoting {
		k.missing, k.givenUp = time.Time{}, false
		return nil
	}
	l, found, err := k.lease()
	if err != nil {
		return err
	}
	etcd := k.Config.Witness.Etcd
	// One that is becoming active has none until it is given one.
	if since(&k.missing, !found && role.Role == state.RoleActive, k.Now(), etcd.TTL-etcd.Margin) {
		return k.giveUpFor(ctx, "this node has not got the lease that it needs to be active: "+k.failed)
	}
	if !found {
		return nil
	}
	left := k.leaseLeft()
	switch {
	case l.Lost != "":
		return k.giveUpFor(ctx, l.Lost)
	case left <= etcd.Margin:
		return k.giveUpFor(ctx, fmt.Sprintf("the lease ends in %.0f s and could not be renewed: %s", max(left, 0).Seconds(), k.failed))
	}
	return nil
}

// giveUpFor makes this node stop everything, and keeps it from the address until
// etcd answers again.
func (k *keeper) giveUpFor(ctx context.Context, why string) error {
	if k.givenUp {
		return nil
	}
	k.Log.Error().Msg(why + ": this node gives up before another may take over")
	if err := k.submitOnce(ctx, state.RequestFault, state.SourceGuard, why); err != nil {
		return err
	}
	k.givenUp = true
	return k.exclude(ctx, state.IneligibleRefused, why)
}

// fenceInTime makes the datasets read-only right before the lease ends, if the
// services have not stopped by then. The function that it returns ends that, and
// waits for what was begun.
func (n *Node) fenceInTime(ctx context.Context, t *transition) (stop func()) {
	if n.Lease == nil || !n.Data.Configured() {
		return func() {}
	}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(lookAtLease)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if n.leaseLeft() > lastMoment {
				continue
			}
			// What comes of it is seen when the data is given up.
			_ = t.step(ctx, "fence", "", n.Config.Failover.DatasetTimeout, func(ctx context.Context) error {
				_, err := n.Data.Fence(ctx)
				return err
			})
			return
		}
	}()
	return func() {
		close(over)
		<-done
	}
}
