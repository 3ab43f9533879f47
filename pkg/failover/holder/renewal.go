package holder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/lease"
	"github.com/understudy-ha/understudy/pkg/state"
)

// lookEvery is how often the watcher looks how long the lease lasts.
const lookEvery = 200 * time.Millisecond

// renewal renews the lease of an active node, and makes a node that can't renew it
// step down in time.
type renewal struct {
	*Holder
	missing  time.Time // since when an active node has been without
	stepDown bool      // the request to step down has been recorded
	failed   string    // why the last renewal failed
}

// Renew renews the lease again and again until ctx ends. Looking at the time waits for nobody: etcd
// may hang.
func (h *Holder) Renew(ctx context.Context) {
	if h == nil {
		return
	}
	r := &renewal{Holder: h}
	failures := make(chan string, 1)
	go r.renewAll(ctx, failures)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case r.failed = <-failures:
		case <-tick.C:
			if err := r.look(ctx); err != nil && ctx.Err() == nil {
				h.Log.Error().Err(err).Msg("cannot guarantee stepping down before the lease expires")
			}
		}
	}
}

// renewAll renews the lease again and again, and reports why a renewal failed.
func (r *renewal) renewAll(ctx context.Context, failures chan<- string) {
	tick := time.NewTicker(r.Config.Witness.Etcd.RenewEvery())
	defer tick.Stop()
	last := ""
	for {
		text := ""
		if err := r.renew(ctx); err != nil {
			text = err.Error()
		}
		if ctx.Err() == nil && text != last {
			if text == "" {
				r.Log.Info().Msg("lease renewed again")
			} else {
				r.Log.Warn().Msg("lease not renewed: " + text)
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

// renew renews the lease while this node may write. An active node without a lease
// takes it if it is free: it was active before a lease was needed.
func (r *renewal) renew(ctx context.Context) error {
	current, role, err := r.Role()
	if err != nil || !needed(current) {
		return err
	}
	l, found, err := r.record()
	if err != nil {
		return err
	}
	if !found {
		if current != state.RoleActive {
			return nil // its promotion takes one, or its demotion has released it
		}
		if l, err = r.etcd.Take(ctx, r.as(role.Term)); err != nil {
			return err
		}
		return r.change(ctx, 0, &l)
	}
	if l.Lost != "" {
		return errors.New(l.Lost)
	}
	renewed, err := r.etcd.Renew(ctx, l)
	if lost, ok := errors.AsType[*lease.LostError](err); ok {
		l.Lost = lost.Error()
		return errors.Join(err, r.change(ctx, l.ID, &l))
	}
	if err != nil {
		return err
	}
	return r.change(ctx, l.ID, &renewed)
}

// needed reports whether a node with this role may write, or is about to.
func needed(current state.Role) bool {
	return current == state.RoleActive || !rules.Settled(current)
}

// look makes the node step down when the lease will end before it is renewed.
func (r *renewal) look(ctx context.Context) error {
	current, _, err := r.Role()
	if err != nil {
		return err
	}
	if current != state.RoleActive && current != state.RolePromoting {
		r.missing, r.stepDown = time.Time{}, false
		return nil
	}
	l, found, err := r.record()
	if err != nil {
		return err
	}
	etcd := r.Config.Witness.Etcd
	// One that is becoming active has none until it is given one.
	if rules.Since(&r.missing, !found && current == state.RoleActive, r.Now(), etcd.TTL-etcd.Margin) {
		return r.requestFault(ctx, "this node is active without a lease: "+r.failed)
	}
	if !found {
		return nil
	}
	left := r.Left()
	switch {
	case l.Lost != "":
		return r.requestFault(ctx, l.Lost)
	case left <= etcd.Margin:
		return r.requestFault(ctx, fmt.Sprintf("the lease expires in %.0f s and could not be renewed: %s", max(left, 0).Seconds(), r.failed))
	}
	return nil
}

// requestFault makes this node stop everything, and keeps it from the address until
// etcd answers again.
func (r *renewal) requestFault(ctx context.Context, why string) error {
	if r.stepDown {
		return nil
	}
	r.Log.Error().Msg(why + ": stepping down before another node may take over")
	if err := r.Submit(ctx, state.RequestFault, state.SourceGuard, why); err != nil {
		return err
	}
	r.stepDown = true
	return r.Exclude(ctx, state.IneligibleRefused, why)
}
